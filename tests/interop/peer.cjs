// The other side of the TypeScript tests: obeys one line of JSON after another on its standard input.
//
//     node peer.cjs MODULES URL client|application
//
// Answers each command with one line of JSON, {"value": ...} or {"error": {name, message}}. Knows the public API of
// `@dbos-inc/dbos-sdk` in the directory MODULES only.

const path = require("node:path");
const readline = require("node:readline");

const [modules, url, role] = process.argv.slice(2);
const { DBOS, DBOSClient } = require(path.join(modules, "node_modules", "@dbos-inc", "dbos-sdk"));

const DATE = new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 250));

// What a JSON text cannot say: {"$date": true} stands for a `Date`.
function revive(_key, value) {
  return value !== null && typeof value === "object" && value.$date ? DATE : value;
}

async function collect(values) {
  const found = [];
  for await (const value of values) found.push(value);
  return found;
}

function ofClient(client) {
  return {
    enqueue: async (options, ...args) => (await client.enqueue(options, ...args)).workflowID,
    enqueuePortable: async (options, args, named) => (await client.enqueuePortable(options, args, named)).workflowID,
    result: (id) => client.retrieveWorkflow(id).getResult(),
    status: async (id) => (await client.getWorkflow(id)).status,
    send: (id, message, topic, key, options) => client.send(id, message, topic, key, options),
    event: (id, key, seconds) => client.getEvent(id, key, seconds),
    stream: (id, key) => collect(client.readStream(id, key)),
    end: () => client.destroy(),
  };
}

function register() {
  async function greet(name, options) {
    await DBOS.setEvent("greeted", { name });
    const message = await DBOS.recv("reply", 30);
    await DBOS.writeStream("words", "hello");
    await DBOS.writeStream("words", name);
    await DBOS.closeStream("words");
    return { name, options: options ?? null, message };
  }
  async function refuse(reason) {
    throw new Error(`refused: ${reason}`);
  }
  DBOS.registerWorkflow(greet, { name: "greet", serialization: "portable" });
  DBOS.registerWorkflow(refuse, { name: "refuse", serialization: "portable" });
}

async function application() {
  DBOS.setConfig({ name: "typescript", systemDatabaseUrl: url, runAdminServer: false, logLevel: "error" });
  register();
  await DBOS.launch();
  return {
    serve: async (queue) => {
      await DBOS.registerQueue(queue, { minPollingIntervalMs: 10, pollingIntervalSec: 0.01 });
      return null;
    },
    end: () => DBOS.shutdown(),
  };
}

async function answer(command) {
  try {
    return { value: (await command()) ?? null };
  } catch (error) {
    return { error: { name: error.name, message: error.message } };
  }
}

async function main() {
  const verbs = role === "client" ? ofClient(await DBOSClient.create({ systemDatabaseUrl: url })) : await application();
  console.log(JSON.stringify({ value: "ready" }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [verb, ...args] = JSON.parse(line, revive);
    console.log(JSON.stringify(await answer(() => verbs[verb](...args))));
  }
  await verbs.end();
}

main();
