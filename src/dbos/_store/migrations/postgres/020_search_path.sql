alter function {schema}.enqueue_workflow(
    text, text, json[], json, text, text, text, text, bigint, bigint, text, integer, text
) {pin};

alter function {schema}.send_message(text, json, text, text) {pin};
