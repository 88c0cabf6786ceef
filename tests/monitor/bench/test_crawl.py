"""The figures of the crawl bench, from crawls that are made up, and the site that it reads."""

from __future__ import annotations

import json

import httpx
import pytest

from monitor.bench.crawl import Crawled, _growth, _rates, serving
from monitor.bench.crawl_pages import ROBOTS


def test_rates_are_compared_round_by_round_and_the_start_is_taken_off() -> None:
    ours = [Crawled(100, 1.0, 2.0), Crawled(100, 2.0, 3.0), Crawled(100, 4.0, 2.0)]
    theirs = [Crawled(100, 1.0, 2.0), Crawled(100, 1.0, 2.0), Crawled(100, 1.0, 2.0)]
    figures = _rates(ours, theirs, (1.0, 0.5))
    ratio = figures["crawl.ratio_to_scrapy_bench"]
    assert (ratio.value, ratio.low, ratio.high, ratio.n) == (0.5, 0.25, 1.0, 3)
    assert figures["crawl.cpu_ms_per_page"].value == pytest.approx(10.0)
    assert figures["crawl.scrapy_cpu_ms_per_page"].value == pytest.approx(15.0)


def test_growth_is_the_end_against_a_fifth_of_the_way() -> None:
    memory = tuple((pages, 100 + pages // 10) for pages in range(0, 1001, 10))
    figure = _growth(Crawled(1000, 1.0, 1.0, memory))["crawl.rss_growth"]
    assert figure.value == pytest.approx(195 / 119 - 1, abs=0.01)


def test_the_site_counts_who_came_and_has_a_robots_txt() -> None:
    with serving(0) as site:
        assert httpx.get(f"{site}/robots.txt").content == ROBOTS
        page = httpx.get(f"{site}/?total=7&show=20").text
        assert page.count("/follow?total=7&show=20&n=") == 20
        assert json.loads(httpx.get(f"{site}/_count").text)["pages"] == 1
        assert json.loads(httpx.get(f"{site}/_count").text)["pages"] == 0
