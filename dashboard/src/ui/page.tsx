import { Group, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import classes from "./page.module.css";

/** The head of a page, and its name in the tab of the browser. */
export function Page(props: { title: string; note?: ReactNode; actions?: ReactNode; children: ReactNode; tab?: string }) {
  const { title, note, actions, children, tab = title } = props;
  useEffect(() => {
    document.title = `${tab} · waycairn`;
  }, [tab]);
  return (
    <div className={classes.page}>
      <Group justify="space-between" align="flex-start" gap="sm" className={classes.head}>
        <div>
          <Title order={1} size="h2">
            {title}
          </Title>
          {note && (
            <Text component="div" c="dimmed" size="sm">
              {note}
            </Text>
          )}
        </div>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </div>
  );
}

/** A part of a page with a heading of its own. */
export function Section(props: { title: string; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.section} aria-label={props.title}>
      <Group justify="space-between" gap="sm" className={classes.sectionHead}>
        <Title order={2} size="h5">
          {props.title}
        </Title>
        {props.actions && <Group gap="xs">{props.actions}</Group>}
      </Group>
      {props.children}
    </section>
  );
}
