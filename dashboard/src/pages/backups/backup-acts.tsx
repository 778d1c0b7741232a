import { Button, Group, Menu, Modal, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconArrowBackUp, IconChevronDown, IconClock, IconPin, IconPinnedOff, IconShieldCheck, IconTrash } from "@tabler/icons-react";
import { lazy, Suspense, useRef } from "react";
import { archiveOf, useBackupAct } from "@/api/backups";
import { api } from "@/api/client";
import type { Backup } from "@/api/documents";
import { useJobAct } from "@/api/job";
import type { Job } from "@/api/model";
import { formatCount, plural } from "@/format/number";
import { JobOutcome } from "@/ui/job-outcome";
import { notify, notifyError } from "@/ui/notify";
import { returnFocus } from "@/ui/return-focus";
import { KEEPS } from "../delete/keeps";
import { isWhole } from "./backup-badge";
import { Download } from "./download";
import { GiveUp } from "./give-up";
import { Restore, type RestoreSaid } from "./restore";

const DeleteWithBackup = lazy(() => import("../delete/delete-with-backup"));

/** What its owner may do with it now, and how that goes. */
export function BackupActs({ backup }: { backup: Backup }) {
  const verify = useJobAct<undefined>("backup.verify", backup.id, () => api.post<Job>(`/backups/${backup.id}/verify`));
  const restore = useJobAct<RestoreSaid>("backup.restore", backup.id, (said) => api.post<Job>(`/backups/${backup.id}/restore`, said));
  const [deleting, deleteDialog] = useDisclosure(false);
  const [restoring, restoreDialog] = useDisclosure(false);
  const acts = useRef<HTMLDivElement>(null);
  const closeDelete = () => {
    deleteDialog.close();
    returnFocus(acts); // of a source that is deleted the button is gone
  };
  const canDelete = backup.state === "verified" || (backup.state === "deleting" && backup.is_interrupted);
  const canGoAnew = backup.state === "failed" || backup.state === "expired" || (backup.state === "exporting" && backup.is_interrupted);
  return (
    <>
      <Group gap="xs" mb="md" ref={acts} tabIndex={-1} role="group" aria-label="What can be done with it">
        {isWhole(backup) && (
          <>
            <Button leftSection={<IconArrowBackUp size={16} aria-hidden />} onClick={restoreDialog.open} disabled={restore.isBusy}>
              Restore…
            </Button>
            <Download href={archiveOf(backup.id)} label="Download all of it, as one .tar">
              Download (.tar)
            </Download>
            <Button variant="default" leftSection={<IconShieldCheck size={16} aria-hidden />} onClick={() => verify.start(undefined)} disabled={verify.isBusy}>
              Read it back
            </Button>
            <Keeping backup={backup} />
          </>
        )}
        {(canDelete || canGoAnew) && (
          <Button variant="default" leftSection={<IconTrash size={16} aria-hidden />} onClick={deleteDialog.open}>
            {canGoAnew ? "Back up its source anew…" : backup.state === "deleting" ? "Finish the delete…" : "Delete its source…"}
          </Button>
        )}
        <GiveUp backup={backup} />
      </Group>
      <JobOutcome act={verify} doing="Reading it back and comparing it" failed="It is not intact, or could not be read" done={() => "All of it was read back and compared: it is intact."} />
      <JobOutcome act={restore} doing="Bringing it back" failed="It was not restored" done={(result) => <Restored result={result} />} />
      <Restore backup={backup} opened={restoring} onClose={restoreDialog.close} start={restore.start} />
      {deleting && (
        <Suspense fallback={<Modal opened onClose={deleteDialog.close} title="Delete with a backup" children={null} />}>
          <DeleteWithBackup opened onClose={closeDelete} {...(canGoAnew ? { source: { again: backup.id } } : { backup: backup.id })} />
        </Suspense>
      )}
    </>
  );
}

function Restored({ result }: { result: Record<string, unknown> }) {
  const { records, skipped, overwritten } = result as { records: number; skipped: number; overwritten: number };
  return (
    <Stack gap={2}>
      <strong>{plural(records, "record")} brought back</strong>
      {skipped > 0 && <span>{formatCount(skipped)} were there already, the same, and were left alone.</span>}
      {overwritten > 0 && <span>{formatCount(overwritten)} that differed were replaced.</span>}
    </Stack>
  );
}

function Keeping({ backup }: { backup: Backup }) {
  const { extend, pin, unpin } = useBackupAct(backup.id);
  const said = (title: string) => ({
    onSuccess: () => notify({ title, tone: "good" as const }),
    onError: (error: unknown) => notifyError("Nothing was changed", error),
  });
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <Button variant="default" leftSection={<IconClock size={16} aria-hidden />} rightSection={<IconChevronDown size={14} aria-hidden />}>
          Keep
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>From now on, for</Menu.Label>
        {KEEPS.filter(({ value }) => value !== "").map(({ value, label }) => (
          <Menu.Item key={value} onClick={() => extend.mutate(value, said(`It stays: ${label.toLowerCase()}`))}>
            {label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        {backup.pinned ? (
          <Menu.Item leftSection={<IconPinnedOff size={16} aria-hidden />} onClick={() => unpin.mutate(undefined, said("No longer pinned: it goes when its time is over"))}>
            Unpin
          </Menu.Item>
        ) : (
          <Menu.Item leftSection={<IconPin size={16} aria-hidden />} onClick={() => pin.mutate(undefined, said("Pinned: it stays, whatever its time says"))}>
            Pin
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
