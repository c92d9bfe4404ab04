"""Crawlers as configured instances: one object for each site, found again by its name when a crawl is recovered."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urljoin, urlparse

from dbos import DBOS, DBOSConfiguredInstance, SetWorkflowID

LINK = re.compile(r'href="([^"#]+)"')


@dataclass(frozen=True)
class Site:
    name: str
    start: str
    limit: int = 50


class Fetches(ABC):
    agent: ClassVar[str] = "crawler/1.0"

    @abstractmethod
    def allowed(self, url: str) -> bool: ...

    def links(self, base: str, html: str) -> list[str]:
        found = (urljoin(base, one) for one in LINK.findall(html))
        return sorted({one for one in found if self.allowed(one)})


@DBOS.dbos_class()
class Crawler(DBOSConfiguredInstance, Fetches):
    def __init__(self, site: Site) -> None:
        super().__init__(config_name=site.name)
        self.site = site
        self._host = urlparse(site.start).netloc

    def allowed(self, url: str) -> bool:
        return urlparse(url).netloc == self._host

    @DBOS.step(retries_allowed=True, max_attempts=3)
    def fetch(self, url: str) -> str:
        request = urllib.request.Request(url, headers={"User-Agent": self.agent})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode("utf-8", "replace")

    @DBOS.step()
    def store(self, url: str, html: str) -> str:
        digest = self.digest(html)
        with open(f"/tmp/{self.site.name}-{digest}.html", "w") as file:
            file.write(html)
        return digest

    @staticmethod
    def digest(html: str) -> str:
        return hashlib.sha256(html.encode()).hexdigest()[:16]

    @DBOS.workflow()
    def crawl(self) -> dict[str, str]:
        seen: dict[str, str] = {}
        waiting = deque([self.site.start])
        while waiting and len(seen) < self.site.limit:
            url = waiting.popleft()
            if url in seen:
                continue
            html = self.fetch(url)
            seen[url] = self.store(url, html)
            waiting.extend(self.links(url, html))
            DBOS.set_event("pages", len(seen))
            DBOS.sleep(0.5)
        return seen

    @classmethod
    @DBOS.workflow()
    def compare(cls, before: dict[str, str], after: dict[str, str]) -> list[str]:
        changed = [url for url in after if before.get(url) != after[url]]
        cls.report(changed)
        return changed

    @classmethod
    @DBOS.step()
    def report(cls, changed: list[str]) -> None:
        print(f"{cls.__name__}: {len(changed)} pages changed")


@DBOS.dbos_class()
class Reports:
    @staticmethod
    @DBOS.workflow()
    def weekly(names: list[str]) -> str:
        return ", ".join(sorted(names))


crawlers = {
    site.name: Crawler(site) for site in (Site("docs", "https://docs.example"), Site("blog", "https://blog.example"))
}


def main() -> None:
    DBOS(config={"name": "crawlers"})
    DBOS.launch()
    handles = []
    for name, crawler in crawlers.items():
        with SetWorkflowID(f"crawl-{name}"):
            handles.append(DBOS.start_workflow(crawler.crawl))
    pages = [handle.get_result() for handle in handles]
    Crawler.compare({}, pages[0])
    Reports.weekly(list(crawlers))
    DBOS.destroy()


if __name__ == "__main__":
    main()
