"""Every error that this service raises on purpose.

    LikenessError                 code, what happened, what to do about it
    ├── ConfigError               a setting is missing, wrong or a known placeholder
    ├── KeysError                 a key is missing, wrong, or a sealed value does not open
    │   ├── KeyMissing
    │   ├── KeyWrong
    │   ├── Tampered              the ciphertext or its bound context was changed
    │   └── SubjectErased         the subject's key was destroyed: nothing of theirs opens again
    ├── ModelError
    │   ├── WeightsMissing        not pulled yet
    │   ├── WeightsDiffer         the file is not the one that weights.lock names
    │   ├── DeviceMissing         a GPU was asked for and is not there
    │   ├── PackUnknown
    │   ├── DetectorInvalid       an operator's own detector whose manifest or file is not as it says
    │   └── ModelMismatch         vectors of two models must never meet
    │       └── BadVector         NaN, infinite, zero or not of length 1: nothing can be compared with it
    ├── MediaError                this item cannot be looked at; it is kept, marked, and can be retried
    │   ├── EmptyMedia
    │   ├── NotMedia              neither picture, video nor sound by its own bytes
    │   ├── TooLarge              more bytes than we take
    │   ├── TooManyPixels
    │   ├── Unreadable            the decoder gave up
    │   ├── DecoderKilled         the decoder ran out of its time or memory
    │   └── EvidenceIncomplete    evidence is complete or the item failed
    ├── SampleError               a sample given at enrolment cannot be used (says how to do better)
    │   ├── NoFace / SeveralFaces
    │   ├── FaceTooPoor           FaceTooSmall, FaceTooBlurred, FaceTurned, FaceTooDark, FaceTooBright,
    │   │                         FaceTooFlat, FaceCovered
    │   ├── TooLittleSpeech       NoSound, NoSpeech
    │   ├── SeveralVoices
    │   ├── VoiceTooPoor          VoiceNoisy, VoiceClipped
    │   ├── OtherPerson           the samples do not show the same person
    │   ├── HeicPicture           a picture in a form that is not read here
    │   ├── GivenBefore           the very same file was given already
    │   └── TooManySamples        more than one person needs
    ├── AgeError
    │   ├── AgeNotStated          neither a date of birth nor an operator's word
    │   ├── AgeInvalid            no date of birth that a living person can have
    │   └── TooYoung              below the age from which the operator enrols
    ├── BudgetInvalid             false alerts or faces a day that are none, or a subject's that would loosen
    ├── ContactInvalid            an e-mail address or phone number that nothing can be sent to
    ├── GalleryNotReady           retry: "could not look" is not "found nothing"
    ├── LeaseLost                 somebody else has the item now
    ├── FetchError                a URL was not fetched
    │   ├── FetchRefused          by our own guard: address, scheme, redirect, robots, empty allow-list
    │   ├── FetchTooLarge
    │   ├── FetchTimeout
    │   ├── FetchWrongType
    │   ├── FetchFailed           the other side failed
    │   ├── RateLimited           the other side wants us to ask again later
    │   ├── NotCollected          a kind of media that the source is not read for
    │   ├── ArchiveBroken         records of a web archive that cannot be read
    │   ├── ArchiveTruncated      a web archive that ends in the middle of a record
    │   └── ArchiveBomb           a record that unpacks to far more than any real one
    ├── StorageError
    │   ├── StorageFull
    │   └── BlobMissing
    ├── DeliveryError
    │   ├── ChannelDown           nothing was sent: try again later
    │   ├── ChannelUncertain      it may have been sent: never repeat by itself
    │   └── ChannelRefused        the other side said no for good
    ├── LinkInvalid               a link in a message is wrong, used or too old
    │   ├── LinkTooOld
    │   └── LinkUsed
    ├── EnrolmentClosed           only the operator enrols here, and nobody has this address
    ├── AccountThere              somebody to be invited has an account already
    ├── TooOften                  asked more often than is allowed: later again
    ├── CodeInvalid               a code is wrong, too old, or was tried too often
    ├── PasskeyInvalid            a passkey could not be made or shown
    ├── UploadError               what a browser sends did not come whole
    │   ├── UploadBroken          the form is cut off or is none
    │   ├── UploadTooSlow         it takes longer than a connection is held open
    │   └── UploadsBusy           too much is on its way at this moment
    ├── SignInNeeded              the page is somebody's: it leads to where one signs in
    ├── ChallengeError
    │   ├── ChallengeOver         drawn too long ago, answered already, or replaced by a newer one
    │   └── ChallengeTooEarly     there are no samples yet that a clip could be held against
    ├── OperatorRefused           no operator has this name and token, or the name cannot be used
    ├── VoteRefused               a held enrolment is decided already, or this operator voted on it
    ├── DelegateRefused           one's own address, or more people than may see at a time
    ├── NameInvalid               a name that is empty, too long, or made of what cannot be read
    ├── TermInvalid               a name, handle or hashtag that cannot be looked for
    ├── FeedError                 what a partner sent is not taken
    │   ├── SignatureRefused      SignatureMissing, SignatureWrong, TimestampOutside, FeedKeyRevoked,
    │   │                         FeedKeyExpired
    │   ├── MessageReplayed       a message with this id was accepted already
    │   ├── FeedPaused
    │   ├── ScopeMissing          the feed may not do this
    │   ├── BodyBroken            the body is not of the kind that it says
    │   ├── BodyTypeUnknown       the body says to be of a kind that is not read here
    │   ├── ItemBroken            an item lacks something, or holds what is not asked for
    │   ├── ItemKeyTaken          the same key came before with another item
    │   ├── ItemUnknown           the feed gave no item under this key
    │   ├── AddressRefused        an address to fetch that the feed may not name
    │   ├── TooFast               more a second than agreed
    │   ├── QuotaSpent            more a day than agreed
    │   ├── UploadUnknown         the feed has no upload under this address
    │   ├── UploadInUse           another piece of the same upload is being taken
    │   ├── OffsetWrong           a piece does not begin where the last one ended
    │   ├── ChecksumWrong         bytes that are not those of the checksum
    │   ├── DigestDiffers         a file in pieces that is not the one that was announced
    │   ├── TusVersionUnknown
    │   ├── FeedInvalid           a feed, or a key of one, that cannot be set up so
    │   ├── ExtraMissing          a library for feeds that are fetched is not installed
    │   └── HostKeyDiffers        an SFTP server shows another key than the one that was written down
    ├── NotFound                  no such subject, item, source or finding
    └── DemoFailed                a process of `likeness demo` ended or did not come up

`code` is stable and public: it is stored with a failed item, shown by the command line and
returned by the web pages. `retryable` says whether doing the same thing again later can help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator


class LikenessError(Exception):
    """Root of the tree. `str(error)` is one sentence for people; `hint` says what to do."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep one sentence on what happened and one on what to do about it."""
        super().__init__(message)
        self.message = message
        self.hint = hint


def retryable_codes() -> frozenset[str]:
    """Give the code of every error that doing the same thing again later can cure."""
    return frozenset(kind.code for kind in _below(LikenessError) if kind.retryable)


def _below(root: type[LikenessError]) -> Iterator[type[LikenessError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _below(kind)


class ConfigError(LikenessError):
    """A setting is missing, wrong or a known placeholder."""

    code = "config"


class KeysError(LikenessError):
    """A key is missing or wrong, or a sealed value does not open."""

    code = "keys"


class KeyMissing(KeysError):
    """No key-encryption key was given, or not the one that an envelope names."""

    code = "key_missing"


class KeyWrong(KeysError):
    """The key-encryption key is there under the right name but does not unwrap."""

    code = "key_wrong"


class Tampered(KeysError):
    """A sealed value, or the context bound to it, was changed: it does not open."""

    code = "tampered"


class SubjectErased(KeysError):
    """The subject's key was destroyed. Nothing of theirs can be opened again."""

    code = "subject_erased"


class ModelError(LikenessError):
    """Something about the models."""

    code = "model"


class WeightsMissing(ModelError):
    """A file of weights is not in the cache."""

    code = "weights_missing"


class WeightsDiffer(ModelError):
    """A file of weights is not the one that `deploy/weights.lock` names."""

    code = "weights_differ"


class DeviceMissing(ModelError):
    """A GPU was asked for and cannot be used. Never a silent fall-back to the CPU."""

    code = "device_missing"


class PackUnknown(ModelError):
    """No model pack of that name."""

    code = "pack_unknown"


class DetectorInvalid(ModelError):
    """An operator's own detector cannot be used: its manifest is wrong, or its file is not what it says."""

    code = "detector_invalid"


class ModelMismatch(ModelError):
    """Vectors of two models, or of two sizes, were about to be compared."""

    code = "model_mismatch"


class BadVector(ModelMismatch):
    """A vector is NaN, infinite, zero or not of length 1. Its score with anybody would mean nothing."""

    code = "bad_vector"


class MediaError(LikenessError):
    """This item cannot be looked at. It is kept, marked with stage and code, and can be retried."""

    code = "media"


class EmptyMedia(MediaError):
    """Zero bytes."""

    code = "empty"


class NotMedia(MediaError):
    """By its own bytes it is neither a picture, nor a video, nor sound."""

    code = "not_media"


class TooLarge(MediaError):
    """More bytes than the service takes."""

    code = "too_large"


class TooManyPixels(MediaError):
    """More pixels than the service decodes."""

    code = "too_many_pixels"


class Unreadable(MediaError):
    """The decoder could not read it: truncated, corrupt, or of an unknown codec."""

    code = "unreadable"


class DecoderKilled(MediaError):
    """The decoder ran past its limits of time or memory, or died."""

    code = "decoder_killed"
    retryable = True


class EvidenceIncomplete(MediaError):
    """Part of the evidence could not be made, so none is kept."""

    code = "evidence_incomplete"
    retryable = True


class SampleError(LikenessError):
    """A sample given at enrolment cannot be used. The message says how to do better."""

    code = "sample"


class NoFace(SampleError):
    """No face was found in the picture."""

    code = "no_face"


class SeveralFaces(SampleError):
    """More than one face: nobody could say which one is the subject."""

    code = "several_faces"


class FaceTooPoor(SampleError):
    """The face cannot be recognised reliably: the root of what says why."""

    code = "face_too_poor"


class FaceTooSmall(FaceTooPoor):
    """Too few pixels on the face."""

    code = "face_too_small"


class FaceTooBlurred(FaceTooPoor):
    """Out of focus, shaken or smoothed."""

    code = "face_too_blurred"


class FaceTurned(FaceTooPoor):
    """Turned too far to the side, up or down."""

    code = "face_turned"


class FaceTooDark(FaceTooPoor):
    """Hardly any light on the face."""

    code = "face_too_dark"


class FaceTooBright(FaceTooPoor):
    """Burnt out: much of the face is plain white."""

    code = "face_too_bright"


class FaceTooFlat(FaceTooPoor):
    """Hardly any difference between light and dark: fog, a dirty lens, a glare."""

    code = "face_too_flat"


class FaceCovered(FaceTooPoor):
    """The lower half of the face lies under a mask, a scarf or a hand."""

    code = "face_covered"


class TooLittleSpeech(SampleError):
    """Less than two seconds of speech."""

    code = "too_little_speech"


class NoSound(TooLittleSpeech):
    """No sound in the file, or silence."""

    code = "no_sound"


class NoSpeech(TooLittleSpeech):
    """Sound, and nobody speaks in it: music or noise."""

    code = "no_speech"


class SeveralVoices(SampleError):
    """More than one person speaks in the sample."""

    code = "several_voices"


class VoiceTooPoor(SampleError):
    """The voice cannot be recognised reliably: the root of what says why."""

    code = "voice_too_poor"


class VoiceNoisy(VoiceTooPoor):
    """Noise, music or other voices behind the voice."""

    code = "voice_noisy"


class VoiceClipped(VoiceTooPoor):
    """Recorded too loud: the tops of the waves are cut off."""

    code = "voice_clipped"


class OtherPerson(SampleError):
    """The sample does not look or sound like the person in the other samples."""

    code = "other_person"


class HeicPicture(SampleError):
    """A HEIC or HEIF picture, as some phones store them: no reader for it is here."""

    code = "heic"


class GivenBefore(SampleError):
    """The same bytes were given by the same person already: they add nothing."""

    code = "given_before"


class TooManySamples(SampleError):
    """More samples than anybody needs."""

    code = "too_many_samples"


class BudgetInvalid(LikenessError):
    """A budget of false alerts that is no number to keep, or a subject's looser than the operator's."""

    code = "budget_invalid"


class AgeError(LikenessError):
    """Something about the declared age of somebody who is to be enrolled."""

    code = "age"


class AgeNotStated(AgeError):
    """Neither a date of birth nor an operator's word that the person is old enough."""

    code = "age_not_stated"


class AgeInvalid(AgeError):
    """Not a date of birth that a living person can have."""

    code = "age_invalid"


class TooYoung(AgeError):
    """By the date of birth given, below the age from which the operator enrols."""

    code = "too_young"


class ContactInvalid(LikenessError):
    """An e-mail address or a phone number that nothing can be sent to."""

    code = "contact_invalid"


class GalleryNotReady(LikenessError):
    """The gallery has not caught up with the sealed rows. This is not "found nothing"."""

    code = "gallery_not_ready"
    retryable = True


class LeaseLost(LikenessError):
    """Another worker has taken the item over."""

    code = "lease_lost"
    retryable = True


class FetchError(LikenessError):
    """A URL was not fetched."""

    code = "fetch"


class FetchRefused(FetchError):
    """Our own guard said no: address, scheme, redirect, robots.txt or an empty allow-list."""

    code = "fetch_refused"


class FetchTooLarge(FetchError):
    """The body is larger than the cap; the rest was not read."""

    code = "fetch_too_large"


class FetchTimeout(FetchError):
    """The other side was too slow."""

    code = "fetch_timeout"
    retryable = True


class FetchWrongType(FetchError):
    """The other side says, or the first bytes say, that this is not media."""

    code = "fetch_wrong_type"


class FetchFailed(FetchError):
    """The other side failed: no connection, a server error, a broken answer."""

    code = "fetch_failed"
    retryable = True


class RateLimited(FetchError):
    """The other side wants us to slow down, or to ask again later."""

    code = "rate_limited"
    retryable = True


class MediaLocked(FetchError):
    """A film in segments that are encrypted: we take no keys, so nobody here can look at it."""

    code = "media_locked"


class NotCollected(FetchError):
    """A kind of media (image, video, audio) that this source is not read for."""

    code = "not_collected"


class ArchiveBroken(FetchError):
    """A record of a web archive cannot be read, or too many of them cannot."""

    code = "archive_broken"


class ArchiveTruncated(FetchError):
    """A web archive ends in the middle of a record: it was cut off, or somebody still writes it."""

    code = "archive_truncated"


class ArchiveBomb(FetchError):
    """A record of a web archive unpacks to far more than any real one; the rest was not read."""

    code = "archive_bomb"


class StorageError(LikenessError):
    """The folder or bucket for sealed bytes."""

    code = "storage"


class StorageFull(StorageError):
    """No room left. Nothing half-written stays behind."""

    code = "storage_full"
    retryable = True


class BlobMissing(StorageError):
    """The sealed bytes are not there (forgotten after a look, or lost)."""

    code = "blob_missing"


class DeliveryError(LikenessError):
    """A message did not surely arrive."""

    code = "delivery"


class ChannelDown(DeliveryError):
    """Nothing was sent: the channel could not be reached, or said "later"."""

    code = "channel_down"
    retryable = True


class ChannelUncertain(DeliveryError):
    """The connection broke after the message was handed over: it may have been sent."""

    code = "channel_uncertain"


class ChannelRefused(DeliveryError):
    """The other side refused this message or address for good."""

    code = "channel_refused"


class LinkInvalid(LikenessError):
    """A link in a message is wrong, already used, or too old."""

    code = "link_invalid"


class LinkTooOld(LinkInvalid):
    """A link that was right once; the same address can be sent a fresh one."""

    code = "link_too_old"


class LinkUsed(LinkInvalid):
    """A link that was used already; the same address can be sent a fresh one."""

    code = "link_used"


class EnrolmentClosed(LikenessError):
    """Only the operator enrols here, and nobody who is enrolled has this address."""

    code = "enrolment_closed"


class AccountThere(LikenessError):
    """Somebody was to be invited who has an account already, or whose address has one."""

    code = "account_there"


class TooOften(LikenessError):
    """Something was asked more often than is allowed. Nothing was done."""

    code = "too_often"
    retryable = True


class CodeInvalid(LikenessError):
    """A code is wrong, too old, or was tried too often."""

    code = "code_invalid"


class PasskeyInvalid(LikenessError):
    """A passkey could not be made or shown: another one, another challenge, or no user behind it."""

    code = "passkey_invalid"


class UploadError(LikenessError):
    """What a browser sends did not come whole. Nothing of it is kept."""

    code = "upload"


class UploadBroken(UploadError):
    """The form is cut off, or is none."""

    code = "upload_broken"


class UploadTooSlow(UploadError):
    """It takes longer than a connection is held open for it."""

    code = "upload_too_slow"
    retryable = True


class UploadsBusy(UploadError):
    """Too much is on its way at this moment, all people together or this one."""

    code = "uploads_busy"
    retryable = True


class SignInNeeded(LikenessError):
    """The page is somebody's own, and nobody who may see it is signed in.

    `path` is the page of ours to be led to.
    """

    code = "sign_in_needed"

    def __init__(self, path: str) -> None:
        """Keep where to be led."""
        super().__init__("sign in to see this page", hint="Open the newest link that we sent you.")
        self.path = path


class ChallengeError(LikenessError):
    """Something about the challenge by which a person shows that it is them."""

    code = "challenge"


class ChallengeOver(ChallengeError):
    """A clip came for a challenge that is over: too old, answered already, replaced, or another person's."""

    code = "challenge_over"


class ChallengeTooEarly(ChallengeError):
    """There are no usable samples of face and voice yet that a clip could be held against."""

    code = "challenge_too_early"


class OperatorRefused(LikenessError):
    """No operator has this name and token, or a name cannot be an operator's."""

    code = "operator_refused"


class VoteRefused(LikenessError):
    """A held enrolment is decided already, this operator has voted on it before, or no reason was given."""

    code = "vote_refused"


class DelegateRefused(LikenessError):
    """One's own address, or more people than may see somebody's findings at a time."""

    code = "delegate_refused"


class NameInvalid(LikenessError):
    """A name that is empty, too long, or made of what cannot be read."""

    code = "name_invalid"


class TermInvalid(LikenessError):
    """A name, handle or hashtag that cannot be looked for, or one more than anybody may have."""

    code = "term_invalid"


class FeedError(LikenessError):
    """What a partner sent is not taken. Nothing of it is kept."""

    code = "feed"


class SignatureRefused(FeedError):
    """Nobody who may push signed this: the root of what says why."""

    code = "signature"


class SignatureMissing(SignatureRefused):
    """One of the three headers of Standard Webhooks is not there, or is none."""

    code = "signature_missing"


class SignatureWrong(SignatureRefused):
    """No key in force of this feed made any of the signatures, or there is no such feed."""

    code = "signature_wrong"


class TimestampOutside(SignatureRefused):
    """Signed too long ago, or in the future."""

    code = "timestamp_outside"


class FeedKeyRevoked(SignatureRefused):
    """The signature is right, and its key was revoked."""

    code = "key_revoked"


class FeedKeyExpired(SignatureRefused):
    """The signature is right, and its key's time is over."""

    code = "key_expired"


class MessageReplayed(FeedError):
    """A message with this id was accepted already."""

    code = "message_replayed"


class FeedPaused(FeedError):
    """The operator has paused this feed."""

    code = "feed_paused"


class ScopeMissing(FeedError):
    """The feed was not given the right to do this."""

    code = "scope_missing"


class BodyBroken(FeedError):
    """The body is not of the kind that its Content-Type says."""

    code = "body_broken"


class BodyTypeUnknown(FeedError):
    """The Content-Type names a kind of body that is not read here."""

    code = "body_type_unknown"


class ItemBroken(FeedError):
    """An item lacks something, or holds what is not asked for."""

    code = "item_broken"


class ItemKeyTaken(FeedError):
    """The same key came before with another item."""

    code = "item_key_taken"


class ItemUnknown(FeedError):
    """The feed gave no item under this key."""

    code = "item_unknown"


class AddressRefused(FeedError):
    """An address to fetch that is none, is unsafe, or is of a host that the feed may not name."""

    code = "address_refused"


class _Slower(FeedError):
    """More came than was agreed. Raised with the seconds after which the same may pass."""

    retryable = True

    def __init__(self, message: str, *, after_s: float) -> None:
        """Keep how long to wait, in seconds."""
        super().__init__(message, hint="Wait as long as Retry-After says; then send the same again.")
        self.after_s = after_s


class TooFast(_Slower):
    """More items a second than was agreed."""

    code = "too_fast"


class QuotaSpent(_Slower):
    """More items a day than was agreed."""

    code = "quota_spent"


class UploadUnknown(FeedError):
    """The feed has no upload under this address: it was ended, has expired, or never was."""

    code = "upload_unknown"


class UploadInUse(FeedError):
    """Another piece of the same upload is being taken at this moment."""

    code = "upload_in_use"
    retryable = True


class OffsetWrong(FeedError):
    """A piece does not begin where the last one ended."""

    code = "offset_wrong"


class ChecksumWrong(FeedError):
    """The bytes that came are not those that the checksum stands for."""

    code = "checksum_wrong"
    retryable = True


class DigestDiffers(FeedError):
    """A file that came in pieces is not the one whose digest was said at the beginning."""

    code = "digest_differs"


class TusVersionUnknown(FeedError):
    """The version of the tus protocol is missing, or is another one."""

    code = "tus_version_unknown"


class FeedInvalid(FeedError):
    """A feed, a partner or a key of a feed that cannot be set up so."""

    code = "feed_invalid"


class DrillNotPossible(LikenessError):
    """A fire drill that cannot be held for this person, or by this path."""

    code = "drill_not_possible"


class ExtraMissing(FeedError):
    """The libraries that fetch from buckets and SFTP servers are an extra, and are not installed."""

    code = "extra_missing"


class HostKeyDiffers(FeedError):
    """An SFTP server shows another key than the one written down: it was changed, or is not that server."""

    code = "host_key_differs"


class NotFound(LikenessError):
    """No such subject, item, source or finding (or not yours: the answer is the same)."""

    code = "not_found"


class DemoFailed(LikenessError):
    """A process of `likeness demo` ended early or did not come up. Its log says why."""

    code = "demo_failed"
