import { Button, Stack, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPlayerPlay } from "@tabler/icons-react";
import type { Stream } from "@/api/documents";
import type { JobAct } from "@/api/job";
import { useMay, useSession } from "@/session/session";
import { Command } from "@/ui/command";
import { Confirm } from "@/ui/confirm";

/** Reads once what is there, in a process of its own. Where that may not be, it says why, and gives the line for a shell. */
export function ProcessButton({ stream, act, compact = false }: { stream: Pick<Stream, "name" | "registered" | "owner" | "may_touch">; act: JobAct<undefined>; compact?: boolean }) {
  const [opened, { open, close }] = useDisclosure(false);
  const why = useWhyNot(stream);
  const size = compact ? "compact-sm" : "sm";
  if (why !== null)
    return (
      <Tooltip label={why} multiline w={300}>
        <Button size={size} variant="default" data-disabled aria-disabled leftSection={<IconPlayerPlay size={15} aria-hidden />} onClick={(event) => event.preventDefault()} aria-label={`Process ${stream.name}: ${why}`}>
          Process
        </Button>
      </Tooltip>
    );
  const begin = () => {
    act.start(undefined);
    close();
  };
  return (
    <>
      <Button size={size} variant="default" leftSection={<IconPlayerPlay size={15} aria-hidden />} onClick={open} loading={act.isBusy} aria-label={`Process ${stream.name}`}>
        Process
      </Button>
      <Confirm opened={opened} onClose={close} title={`Process ${stream.name}`} act="Process" onConfirm={begin}>
        <Stack gap="sm">
          <Text size="sm">The server starts the command that its settings file names, reads what is there once, and commits it to the sink. The same in a shell:</Text>
          <Command line={`waycairn stream process ${stream.name} --once`} />
        </Stack>
      </Confirm>
    </>
  );
}

function useWhyNot(stream: Pick<Stream, "registered" | "owner" | "may_touch">): string | null {
  const { allow_launch } = useSession();
  const isOperator = useMay("operator");
  if (!isOperator) return "Operators may process streams; your account may look.";
  if (!stream.may_touch) return "Its run belongs to somebody else.";
  if (stream.owner !== null) return `Process ${stream.owner.pid} on ${stream.owner.host} follows it now.`;
  if (!stream.registered) return "It is not in the settings file of the server, so the server does not know its code. Its own job processes it.";
  if (!allow_launch) return "This server starts no processes. Whoever runs it may allow it: waycairn serve --allow-launch";
  return null;
}
