"""Attack: a page of a watched site has scripts that reach for what only this machine can reach.

The watch runs the scripts of pages where a source says so. A script could ask this machine's own services,
the metadata service of a cloud, a file, or a name that leads to a public address first and inside then. None
is reached: the browser has no way out, and what is fetched for it goes through the guard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crawlers.conftest import Crawls, web, zygote
from tests.crawlers.conftest import crawls as crawls  # noqa: PLC0414 - a fixture
from tests.crawlers.pictures import picture
from tests.crawlers.web import site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crawlers.web import Site

__all__ = ["web", "zygote"]

REACH = """
const inside = ['http://127.0.0.1:PORT/xhr', 'http://localhost:PORT/name', 'http://[::1]:PORT/six',
  'http://2130706433:PORT/number', 'http://169.254.169.254/latest/meta-data/', 'http://0.0.0.0:PORT/zero',
  'http://127.0.0.1.nip.io:PORT/rebound', 'file:///etc/hostname', '/to-inside', '/to-file'];
const add = (name, more) => document.body.append(Object.assign(document.createElement(name), more));
const here = 'http://127.0.0.1:PORT';
inside.forEach(one => fetch(one, {mode: 'no-cors'}).catch(() => 0));
inside.forEach(one => { const asked = new XMLHttpRequest(); try { asked.open('GET', one); asked.send(); }
  catch (error) { } });
inside.forEach(one => add('script', {src: one}));
fetch('/posted', {method: 'POST', body: 'x'}).catch(() => 0);
navigator.sendBeacon(here + '/beacon', 'x');
try { new WebSocket('ws://127.0.0.1:PORT/socket'); } catch (error) { }
try { new EventSource(here + '/events'); } catch (error) { }
try { navigator.serviceWorker.register('/worker.js'); } catch (error) { }
try { new Worker('/worker.js'); new SharedWorker('/worker.js'); } catch (error) { }
add('iframe', {src: here + '/frame'});
add('img', {src: here + '/picture'});
add('video', {src: here + '/film'});
add('object', {data: here + '/object'});
add('embed', {src: here + '/embed'});
add('link', {rel: 'stylesheet', href: here + '/style'});
add('link', {rel: 'prefetch', href: here + '/prefetch'});
add('link', {rel: 'preload', as: 'fetch', href: here + '/preload'});
add('link', {rel: 'modulepreload', href: here + '/module'});
add('link', {rel: 'preconnect', href: here});
add('script', {type: 'speculationrules', textContent: JSON.stringify({
  prefetch: [{source: 'list', urls: [here + '/ahead']}], prerender: [{source: 'list', urls: ['/again']}]})});
window.open(here + '/window');
add('a', {href: here + '/download', download: 'x'});
document.querySelector('a[download]')?.click();
try { new RTCPeerConnection({iceServers: [{urls: 'turn:127.0.0.1:PORT?transport=tcp', username: 'a',
  credential: 'b'}]}).createDataChannel('x'); document.title = 'webrtc'; } catch (error) { }
location.href = here + '/elsewhere';
const done = document.createElement('img'); done.src = '/0.png'; document.body.append(done);
"""


@pytest.fixture
def inside() -> Iterator[Site]:
    """Serve something on another port of this machine, which no source names."""
    with site() as running:
        yield running


def test_no_script_of_a_page_reaches_inside(crawls: Crawls, web: Site, inside: Site) -> None:
    web.page("/", f"<body><script>{REACH.replace('PORT', str(inside.port))}</script></body>")
    web.redirect("/to-inside", f"{inside.url}/redirected")
    web.redirect("/to-file", "file:///etc/hostname")
    web.page("/worker.js", f"fetch('{inside.url}/from-worker').catch(() => 0);", "text/javascript")
    web.page("/0.png", picture(0), "image/png")
    crawls.add(options={"javascript": "yes"}, depth=0)
    report = crawls.run()
    assert report["dropped"] == {"fetch_refused": 2}, report["stderr"]  # film and picture, by our fetcher
    assert "/0.png" in web.paths()  # the script ran to its end
    assert report["media_taken"] == 1
    assert inside.asked == []
    assert "/to-inside" in web.paths()  # it was asked for, and what it led to was not
    assert not {one.method for one in web.asked} - {"GET", "HEAD"}
