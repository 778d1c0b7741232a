import { Button, Menu, Modal, Text } from "@mantine/core";
import { IconDots, IconPlayerPlay, IconPlayerStop, IconRefresh } from "@tabler/icons-react";
import { lazy, Suspense, useState } from "react";
import { useNavigate } from "react-router";
import { type Act, useAct } from "@/api/acts";
import type { RunDetail } from "@/api/model";
import { resumeLine, titleOf } from "@/api/run-words";
import { useMay, useSession } from "@/session/session";
import { AskTwice } from "@/ui/ask-twice";
import { Command } from "@/ui/command";
import { textOf } from "@/ui/progress-bar";

const DeleteWithBackup = lazy(() => import("@/pages/delete/delete-with-backup"));

const RESTS = ["interrupted", "failed", "partial", "orphaned"];

/** What can be done with it, by who may. */
export function RunActs({ run }: { run: RunDetail }) {
  const mayAct = useMay("operator") && run.may_touch;
  const act = useAct();
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<"resume" | "discard" | "takeover" | "delete" | null>(null);
  const close = () => setDialog(null);
  const does = (which: Act) => act.isPending && act.variables.act === which;
  const go = (which: Act) => act.mutate({ run, act: which });
  const { allow_launch } = useSession();
  if (!mayAct || run.parent !== null) return null;
  const rests = RESTS.includes(run.status);
  const launches = allow_launch && run.resumable;
  return (
    <>
      {rests && (
        <Button leftSection={<IconPlayerPlay size={16} aria-hidden />} loading={does("resume")} onClick={() => (launches ? go("resume") : setDialog("resume"))}>
          Resume
        </Button>
      )}
      {rests && run.progress.failed > 0 && launches && (
        <Button variant="default" leftSection={<IconRefresh size={16} aria-hidden />} loading={does("retry")} onClick={() => go("retry")}>
          Retry failed
        </Button>
      )}
      {run.status === "running" && (
        <Button variant="default" leftSection={<IconPlayerStop size={16} aria-hidden />} loading={does("cancel")} onClick={() => go("cancel")}>
          Cancel
        </Button>
      )}
      <Menu position="bottom-end" width={230}>
        <Menu.Target>
          <Button variant="default" px="xs" aria-label="More acts">
            <IconDots size={18} aria-hidden />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {run.status === "running" && <Menu.Item onClick={() => setDialog("takeover")}>Take over…</Menu.Item>}
          {rests && <Menu.Item onClick={() => setDialog("discard")}>Discard…</Menu.Item>}
          <Menu.Item c="var(--mantine-color-error)" disabled={run.status === "running"} onClick={() => setDialog("delete")}>
            Back up and delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={dialog === "resume"} onClose={close} title={`Resume ${titleOf(run)}`}>
        <Resuming run={run} />
      </Modal>
      <Modal opened={dialog === "discard"} onClose={close} title={`Discard ${titleOf(run)}`}>
        <Discarding run={run} pending={does("discard")} then={() => act.mutate({ run, act: "discard" }, { onSettled: close })} />
      </Modal>
      <Modal opened={dialog === "takeover"} onClose={close} title={`Take ${titleOf(run)} over`}>
        <TakingOver run={run} pending={does("takeover")} then={() => act.mutate({ run, act: "takeover" }, { onSettled: close })} />
      </Modal>
      {dialog === "delete" && (
        <Suspense>
          <DeleteWithBackup source={{ kind: "runs", runs: [run.id] }} opened onClose={(deleted) => (deleted ? void navigate("/runs") : close())} />
        </Suspense>
      )}
    </>
  );
}

function Resuming({ run }: { run: RunDetail }) {
  const { allow_launch, store } = useSession();
  return (
    <>
      <Text mb="sm">
        {allow_launch
          ? "The command that started it is not recorded, so the server cannot start it. In a shell:"
          : "This server starts no jobs: it was started without --allow-launch. In a shell, where the job lives:"}
      </Text>
      <Command line={resumeLine(run, store.url)} />
      <Text mt="sm" size="sm" c="dimmed">
        Or start the job as you always do: it goes on from where it is.
      </Text>
    </>
  );
}

function Discarding({ run, pending, then }: { run: RunDetail; pending: boolean; then: () => void }) {
  return (
    <>
      <Text mb="sm">
        It stays listed, with what it has done ({textOf(run.progress)}), and will not go on from there. Entering it again starts anew.
      </Text>
      <AskTwice
        label="Discard"
        pending={pending}
        first={`Give ${titleOf(run)} up?`}
        second={`Asked once more: ${titleOf(run)} will not go on.`}
        last="Discard for good"
        onYes={then}
      />
    </>
  );
}

function TakingOver({ run, pending, then }: { run: RunDetail; pending: boolean; then: () => void }) {
  return (
    <>
      <Text mb="sm">
        {run.owner ? `pid ${run.owner.pid} on ${run.owner.host} holds it. ` : ""}Its next commit is refused, and the run can be entered by another process. What it committed
        stands. For an owner that hangs; one that works is better cancelled.
      </Text>
      <AskTwice
        label="Take over"
        pending={pending}
        first="Fence its owner out?"
        second="Asked once more: what its owner has not committed is lost, and done again by who enters next."
        last="Take it over"
        onYes={then}
      />
    </>
  );
}
