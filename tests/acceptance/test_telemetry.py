"""OpenTelemetry: spans of what a job does, where the program has set up a provider, and no trace of it elsewhere."""

import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

import waycairn as wc
from waycairn.errors import Damaged
from waycairn.measuring import spans


@pytest.fixture
def exported():
    """What is exported; the provider is taken away afterwards, as OpenTelemetry itself never does."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    provider.shutdown()
    trace._TRACER_PROVIDER = None
    trace._TRACER_PROVIDER_SET_ONCE = Once()


def tree(spans_of):
    """Name to the names of its parents."""
    by_id = {span.context.span_id: span.name for span in spans_of}
    return {(span.name, by_id.get(span.parent.span_id) if span.parent else None) for span in spans_of}


def test_a_job_is_traced(exported, tmp_path):
    """Run, phase, saves, loads, a sweep and verifying; the user's own spans are between them."""
    with wc.open(tmp_path) as store:
        with store.run("nightly", key="monday") as run:
            state = run.state({"data": b""})
            with trace.get_tracer("mine").start_as_current_span("mine"):
                state["data"] = bytes(range(256)) * 2000
                run.checkpoint(force=True)
            run.phase("part", lambda phase: phase.checkpoint(force=True))
        (found, *_) = store.checkpoints("nightly")
        store.load(found.id)
        store.core.verify(found.checkpoint.stored)
        store.sweep()
        store.save("value", 1)
    done = exported.get_finished_spans()
    assert tree(done) >= {
        ("waycairn.run", None),
        ("mine", "waycairn.run"),
        ("waycairn.save", "mine"),
        ("waycairn.run", "waycairn.run"),
        ("waycairn.save", "waycairn.run"),
        ("waycairn.load", None),
        ("waycairn.verify", None),
        ("waycairn.sweep", None),
        ("waycairn.save", None),
    }
    (whole,) = [span for span in done if span.name == "waycairn.run" and span.parent is None]
    assert whole.attributes["waycairn.name"] == "nightly"
    assert whole.attributes["waycairn.key"] == "monday"
    assert whole.attributes["waycairn.status"] == "completed"
    assert (whole.attributes["waycairn.epoch"], whole.attributes["waycairn.resumed"]) == (1, False)
    (save,) = [
        span for span in done if span.name == "waycairn.save" and span.parent and _name(done, span.parent) == "mine"
    ]
    assert save.attributes["waycairn.run"] == whole.attributes["waycairn.run"]
    assert 0 < save.attributes["waycairn.bytes"] < 512_000
    (load,) = [span for span in done if span.name == "waycairn.load"]
    assert load.attributes["waycairn.bytes"] >= 512_000
    (value,) = [span for span in done if span.attributes.get("waycairn.name") == "value"]
    assert (value.name, value.parent) == ("waycairn.save", None)
    assert not trace.get_current_span().get_span_context().is_valid


def _name(done, context):
    return next(span.name for span in done if span.context.span_id == context.span_id)


def test_a_save_of_another_thread_belongs_to_its_run(exported, tmp_path):
    """Where no span is current, the run's is the parent."""
    with wc.open(tmp_path) as store, store.run("job") as run:
        thread = threading.Thread(target=run._execution.cutter.commit_beside)
        thread.start()
        thread.join()
    done = exported.get_finished_spans()
    (whole,) = [span for span in done if span.name == "waycairn.run"]
    assert {span.parent.span_id for span in done if span.name == "waycairn.commit"} == {whole.context.span_id}


def test_errors_are_in_the_spans(exported, tmp_path):
    """Of the job, and of an act."""
    with wc.open(tmp_path) as store:
        with pytest.raises(ValueError, match="odd"), store.run("bad"):
            raise ValueError("odd")
        saved = store.save("value", bytes(300_000))
        store.core._reader.open = lambda _stored: (_ for _ in ()).throw(Damaged("torn"))
        with pytest.raises(Damaged):
            store.load(saved)
    done = {span.name: span for span in exported.get_finished_spans()}
    assert not done["waycairn.run"].status.is_ok
    assert done["waycairn.run"].events[0].attributes["exception.message"] == "odd"
    assert "torn" in done["waycairn.load"].status.description


def test_without_a_provider_there_is_nothing(tmp_path):
    """The API is not even imported by us."""
    assert not spans.is_on()
    program = (
        "import sys, waycairn as wc\n"
        "with wc.open(sys.argv[1]) as store, store.run('job') as run: run.checkpoint(force=True)\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
