"""The demo's platform site: every file on it, and what must be found there.

Two photographs and some speech of the enrolled are planted in the ways that people repost things, among
pictures and voices of strangers, broken files, and traps for a crawler.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from monitor.demo import clips, pages, pictures
from monitor.demo.expectations import NOT_FETCHED, UNSURE, Broken, Decoy, Expected, Forbidden, Person, Planted
from monitor.demo.local_server import Answer
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.demo.sources import Sources

PRESIDENT = Person("president", "Barack Obama", "president@example.org", "+12025550123", faces=("portrait",))
READER = Person(
    "reader",
    "The LibriVox reader",
    "reader@example.org",
    "+12025550147",
    voices=("reader-0870", "reader-0890"),
)
"""Both numbers are from the range that is kept for fiction."""

HEAD = {"speech": (0.15, 0.04, 0.98, 0.62), "visit": (0.2, 0.02, 0.86, 0.42), "biden": (0.2, 0.0, 0.9, 0.4)}
"""Where head and shoulders are, as parts of the sides."""

PODCAST_S = 75.0
HER_SECONDS = 41.0
"""When she begins to speak in the podcast."""

SCENE_SIDE = 1000
"""Longest side of a picture that a video moves over, pixels; larger ones only take longer."""

TYPES = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
}


@dataclass(frozen=True, slots=True)
class Site:
    """Answers by path, and the ground truth."""

    answers: Mapping[str, Answer]
    expected: Expected


class _Builder:
    """Collects files and what is expected of them, in the order in which they are added."""

    def __init__(self, sources: Sources) -> None:
        self.get = sources.get
        self.answers: dict[str, Answer] = {}
        self.planted: list[Planted] = []
        self.decoys: list[Decoy] = []
        self.broken: list[Broken] = []
        self.forbidden: list[Forbidden] = []

    def put(self, path: str, body: bytes) -> None:
        self.answers[path] = Answer(body, TYPES[path.rsplit(".", 1)[1]])

    def plant(self, planted: Planted, body: bytes) -> None:
        self.put(planted.path, body)
        self.planted.append(planted)

    def decoy(self, path: str, what: str, body: bytes) -> None:
        self.put(path, body)
        self.decoys.append(Decoy(path, what))

    def breaks(self, path: str, what: str, answer: Answer, *codes: str) -> None:
        self.answers[path] = answer
        self.broken.append(Broken(path, what, frozenset(codes)))

    def expected(self) -> Expected:
        return Expected(
            people=(PRESIDENT, READER),
            planted=tuple(self.planted),
            decoys=tuple(self.decoys),
            broken=tuple(self.broken),
            forbidden=tuple(self.forbidden),
        )


def build_site(sources: Sources, inside_url: str) -> Site:
    """Make the whole site. `inside_url` is a server on this machine that no crawler may be led to.

    Raises WeightsMissing when a source file is not there.
    """
    builder = _Builder(sources)
    for part in (_copies, _collages, _halves, _sounds, _videos, _strangers, _broken, _robots):
        part(builder)
    _redirects(builder, inside_url)
    builder.answers |= pages.make_pages(builder.expected())
    return Site(builder.answers, builder.expected())


def _copies(site: _Builder) -> None:
    for name, title in (("speech", "lectern"), ("visit", "blue-room")):
        whole = site.get(name)
        for suffix, how, body in (
            ("", "whole", whole),
            ("-small", "resized to 40 %", pictures.resized(whole, 0.4)),
            ("-again", "JPEG quality 25", pictures.recompressed(whole, 25)),
            ("-crop", "cropped", pictures.cropped(whole, HEAD[name])),
            ("-turned", "mirrored", pictures.mirrored(whole)),
        ):
            site.plant(Planted(f"/photos/{title}{suffix}.jpg", PRESIDENT.key, how, name), body)
    webp = pictures.as_webp(site.get("speech"))
    for path, how, name, body in (
        ("/photos/lectern.png", "PNG with alpha", "speech", site.get("speech-png")),
        ("/archive/2011/lectern.webp", "WebP, in the sitemap only", "speech", webp),
        ("/odd/holiday.png", "JPEG named .png", "visit", site.get("visit")),
    ):
        site.plant(Planted(path, PRESIDENT.key, how, name), body)


def _collages(site: _Builder) -> None:
    head = {n: pictures.window_of(pictures.opened(site.get(n)), window) for n, window in HEAD.items()}
    friends = pictures.opened(site.get("friends"))
    third = [pictures.window_of(friends, (i / 3, 0.0, (i + 1) / 3, 1.0)) for i in range(3)]
    other = {n: pictures.opened(site.get(n)) for n in ("astronaut", "coffee", "cat", "rocket", "mask-blue")}
    four = [head["biden"], other["astronaut"], head["speech"], third[0]]
    nine = [third[1], other["coffee"], head["biden"], other["cat"], head["visit"]]
    nine += [other["rocket"], other["astronaut"], other["mask-blue"], third[2]]
    two = Planted("/photos/four-of-us.jpg", PRESIDENT.key, "in a 2 x 2 collage", "speech")
    three = Planted("/photos/nine-frames.jpg", PRESIDENT.key, "in a 3 x 3 collage", "visit")
    site.plant(two, pictures.collage(four, 2))
    site.plant(three, pictures.collage(nine, 3))


def _halves(site: _Builder) -> None:
    for number, half in (("1", "left"), ("2", "right")):
        planted = Planted(
            f"/photos/half-{number}.jpg", PRESIDENT.key, f"half a face, {half}", "portrait", UNSURE
        )
        site.plant(planted, site.get(f"partial-{number}"))


def _sounds(site: _Builder) -> None:
    her = clips.read_speech(site.get("reader-0920"))
    host = [clips.read_speech(site.get(f"host-{name}")) for name in ("numbers", "something")]
    parts = [(8.0, host[0]), (HER_SECONDS, her), (60.0, host[1])]
    podcast = clips.mp3(clips.laid_over(clips.music(PODCAST_S), parts))
    spans = (clips.span_of(HER_SECONDS, her),)
    site.plant(
        Planted("/audio/episode-12.mp3", READER.key, "in a podcast with music", "podcast", spans=spans),
        podcast,
    )
    site.decoy("/audio/telephone.wav", "two strangers on the telephone", site.get("telephone"))
    site.decoy("/audio/intermezzo.mp3", "music alone", clips.mp3(clips.music(20.0)))


def _videos(site: _Builder) -> None:
    shown = {n: pictures.opened(site.get(n)) for n in ("biden", "visit", "astronaut")}
    for picture in shown.values():
        picture.thumbnail((SCENE_SIDE, SCENE_SIDE))
    biden = clips.Scene(shown["biden"], (0.0, 0.0, 1.0, 0.6), (0.1, 0.0, 0.9, 0.45), 3.0)
    visit = clips.Scene(shown["visit"], (0.0, 0.0, 1.0, 0.7), (0.2, 0.02, 0.86, 0.42), 5.0)
    astronaut = clips.Scene(shown["astronaut"], (0.0, 0.0, 0.9, 0.9), (0.1, 0.0, 1.0, 0.9), 3.0)
    tour = Planted("/video/tour.mp4", PRESIDENT.key, "in a video between strangers", "visit")
    site.plant(tour, clips.mp4((biden, visit, astronaut)))
    site.decoy(
        "/video/visitors.mp4", "a video of two strangers", clips.mp4((astronaut, biden), clips.music(6.0))
    )
    her = clips.read_speech(site.get("reader-0930")), clips.read_speech(site.get("reader-0880"))
    second = 6.2 + len(her[0]) / SAMPLE_RATE
    track = clips.laid_over(clips.music(14.0), [(6.0, her[0]), (second, her[1])])
    spans = (clips.span_of(6.0, her[0]), clips.span_of(second, her[1]))
    planted = Planted("/video/clouds.mp4", READER.key, "in a video's sound track", "soundtrack", spans=spans)
    site.plant(planted, clips.mp4(clips.clouds(7, 14.0), track))


def _strangers(site: _Builder) -> None:
    site.decoy("/photos/vice-president.jpg", "Joe Biden", site.get("biden"))
    site.decoy("/photos/friends.jpg", "six strangers", site.get("friends"))
    site.decoy("/photos/actor.png", "an actor, small", site.get("actor"))
    site.decoy("/photos/astronaut.png", "an astronaut", site.get("astronaut"))
    site.decoy("/photos/rocket.jpg", "a rocket, nobody", site.get("rocket"))
    for colour in ("black", "blue", "green", "white"):
        site.decoy(f"/photos/mask-{colour}.jpg", "a face mask, nobody", site.get(f"mask-{colour}"))


def _broken(site: _Builder) -> None:
    whole, jpeg = site.get("speech"), TYPES["jpg"]
    page = b"<!doctype html><title>Sign in</title><p>Sign in to see this picture.</p>"
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    site.breaks(
        "/odd/truncated.jpg", "cut off in the middle", Answer(whole[: len(whole) // 2], jpeg), "unreadable"
    )
    site.breaks("/odd/empty.jpg", "zero bytes", Answer(b"", jpeg), "empty")
    site.breaks("/odd/sign-in.jpg", "a page named .jpg", Answer(page, jpeg), "fetch_wrong_type")
    site.breaks("/odd/drawing.svg", "SVG with a script", Answer(drawing, TYPES["svg"]), NOT_FETCHED)
    site.breaks("/odd/drawing.png", "SVG named .png", Answer(drawing, TYPES["png"]), "fetch_wrong_type")
    site.breaks("/odd/noise.jpg", "random bytes", Answer(bytes(range(1, 250)) * 90, jpeg), "fetch_wrong_type")
    broken_png = pictures.corrupt_png(site.get("coffee"))
    site.breaks("/odd/corrupt.png", "overwritten pixels", Answer(broken_png, TYPES["png"]), "unreadable")
    huge = Answer(pictures.huge_png(), TYPES["png"])
    site.breaks("/odd/huge.png", "claims 50,000 x 50,000 pixels", huge, "too_many_pixels")
    endless = Answer(whole + bytes(2**16), jpeg, endless=True)
    site.breaks("/odd/endless.jpg", "a body without an end", endless, "fetch_too_large")
    gone = Answer(b"gone", "text/plain", HTTPStatus.NOT_FOUND)
    site.breaks("/odd/gone.jpg", "404", gone, "http_404")


def _robots(site: _Builder) -> None:
    site.put("/members/private.jpg", pictures.recompressed(site.get("visit"), 80))
    site.forbidden.append(Forbidden("/members/private.jpg", "his picture where robots.txt says no"))
    site.forbidden.append(Forbidden("/members/album.html", "a page where robots.txt says no"))


def _redirects(site: _Builder, inside_url: str) -> None:
    for path, what, location in (
        ("/go/inside.jpg", "leads to a server on this machine", f"{inside_url}/admin.jpg"),
        ("/go/router.jpg", "leads to 10.0.0.1", "http://10.0.0.1/photo.jpg"),
        ("/go/cloud.jpg", "leads to a cloud's metadata", "http://169.254.169.254/latest/meta-data/"),
        ("/go/file.jpg", "leads to a file of this machine", "file:///etc/passwd"),
    ):
        site.breaks(path, what, Answer(status=HTTPStatus.FOUND, location=location), "fetch_refused")
