/** What is shown where there is nothing to show: still loading, nothing there, went wrong. */
import { Button, Group, Stack, Text, Title } from "@mantine/core";
import { IconCloudOff, IconLock, IconRefresh, IconTrafficCone, type TablerIcon } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Problem, Unreachable } from "@/api/problem";
import classes from "./states.module.css";

export function Empty(props: { icon: TablerIcon; title: string; children?: ReactNode; actions?: ReactNode }) {
  const { icon: Icon, title, children, actions } = props;
  return (
    <Stack className={classes.state} align="center" gap="xs">
      <Icon size={36} stroke={1.4} aria-hidden className={classes.icon} />
      <Title order={2} size="h4">
        {title}
      </Title>
      {children && (
        <Text component="div" c="dimmed" ta="center" maw={520}>
          {children}
        </Text>
      )}
      {actions && <Group mt="xs">{actions}</Group>}
    </Stack>
  );
}

/** Says what happened in the words of the server, and offers the one thing that may help. */
export function ErrorState({ error, again }: { error: unknown; again?: () => void }) {
  const [icon, title] = headingOf(error);
  return (
    <div role="alert">
      <Empty
        icon={icon}
        title={title}
        actions={
          again && (
            <Button variant="default" leftSection={<IconRefresh size={16} aria-hidden />} onClick={again}>
              Try again
            </Button>
          )
        }
      >
        {messageOf(error)}
      </Empty>
    </div>
  );
}

function headingOf(error: unknown): [TablerIcon, string] {
  if (error instanceof Unreachable) return [IconCloudOff, "The server does not answer"];
  if (error instanceof Problem && error.status === 403) return [IconLock, "This is not yours to see"];
  if (error instanceof Problem && error.status === 404) return [IconTrafficCone, "There is nothing here"];
  return [IconTrafficCone, "That went wrong"];
}

export const messageOf = (error: unknown): string =>
  error instanceof Problem ? error.detail : error instanceof Error ? error.message : String(error);

/** Lines that hold the place of rows, so that nothing jumps when they come. */
export function Skeleton({ rows = 8, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div role="status" aria-label={label} className={classes.skeleton}>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={classes.line} />
      ))}
    </div>
  );
}
