"""Events of coded data sets (CAMEO, PLOVER) and snapshots of listings."""

from ledger.kinds.common import Report, provenance, stage
from ledger.kinds.fields import DIGEST, Choice, DayField, ListOf, Pattern, Text, Whole
from ledger.kinds.form import Form, Group
from ledger.kinds.kind import Kind


class CodedActor(Form):
    """An actor as the data set codes it."""

    role = Choice("which side it is", ("source", "target", "unstated"), load_default="unstated")
    code = Text("the data set's code for the actor", limit=60, required=True, example="BLRGOV")
    name = Text("the data set's name for the actor", sealed=True, limit=300)


class Counts(Form):
    """How often the data set saw it."""

    mentions = Whole("mentions")
    sources = Whole("sources")
    articles = Whole("articles")


class CodedEvent(Report):
    """Version 1."""

    stage = stage("done")
    dataset = Text("the data set", limit=100, required=True, example="GDELT 2.0")
    table_version = Text("the version of the code table", limit=60, required=True,
                         example="CAMEO 1.1b3")
    code = Text("the event code, with its leading zeros, in quotes", limit=20, required=True,
                example='"0841"')
    row = Text("the data set's own id for the row", limit=100, example="")
    actors = ListOf("the actors", Group("an actor", CodedActor()), load_default=list)
    counts = Group("how often it was seen", Counts())


class SnapshotImported(Form):
    """Version 1."""

    dataset = Text("the data set or listing", limit=200, required=True, example="OFAC SDN")
    retrieved = DayField("the day the snapshot was taken", required=True)
    document_sha256 = Pattern("SHA-256 of the file, 64 hexadecimal digits", DIGEST, required=True)
    rows = Whole("rows in the snapshot", required=True)
    added = Whole("rows that are new", required=True)
    changed = Whole("rows that changed", required=True)
    removed = Whole("rows that are gone", required=True)
    provenance = provenance()


KINDS = (
    Kind("CodedEvent", "a row of a coded data set", "development", "coded", (CodedEvent(),)),
    Kind("SnapshotImported", "a snapshot of a listing was read in", "listing", "snapshot",
         (SnapshotImported(),), is_report=False),
)
