import { Button, Checkbox, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState } from "react";
import { useBackupAct } from "@/api/backups";
import type { Backup } from "@/api/documents";
import { Confirm } from "@/ui/confirm";
import { notify } from "@/ui/notify";

/** What it holds goes for good. Where its source is gone too, that is said, and wants a tick of its own. */
export function GiveUp({ backup }: { backup: Backup }) {
  const [opened, { open, close }] = useDisclosure(false);
  const [knows, setKnows] = useState(false);
  const { giveUp } = useBackupAct(backup.id);
  const isLast = backup.state === "deleted" || backup.state === "deleting";
  if (backup.state === "expired" || (backup.state === "exporting" && !backup.is_interrupted) || (backup.state === "deleting" && !backup.is_interrupted)) return null;
  const leave = () => {
    setKnows(false);
    giveUp.reset();
    close();
  };
  const confirm = () =>
    giveUp.mutate(isLast, {
      onSuccess: () => {
        notify({ title: `The backup of ${backup.label} was given up`, message: "The next sweep gives back its bytes.", tone: "good" });
        leave();
      },
    });
  return (
    <>
      <Button variant="subtle" color="red" onClick={open}>
        Give it up…
      </Button>
      <Confirm opened={opened} onClose={leave} title="Give up this backup" act="Give it up" danger disabled={isLast && !knows} isPending={giveUp.isPending} error={giveUp.error} onConfirm={confirm}>
        <Stack gap="sm">
          <Text size="sm">
            What it holds goes for good; its line in the list stays. {isLast ? "Its source was deleted: this is all that is left of it." : "Its source is left alone."}
          </Text>
          {isLast && <Checkbox label="I know that nothing brings it back then" checked={knows} onChange={(event) => setKnows(event.currentTarget.checked)} />}
        </Stack>
      </Confirm>
    </>
  );
}
