import { Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import classes from "./entrance.module.css";

/** What one sees who is not signed in yet. */
export function Entrance({ title, note, children }: { title: string; note?: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · waycairn`;
  }, [title]);
  return (
    <main className={classes.entrance}>
      <div className={classes.card}>
        <img src="/cairn.svg" alt="" width={44} height={44} />
        <Title order={1} size="h3">
          {title}
        </Title>
        {note && <Text c="dimmed">{note}</Text>}
        {children}
      </div>
    </main>
  );
}
