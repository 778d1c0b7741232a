import { Button, type ButtonProps } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import type { ReactNode } from "react";

/** The browser fetches it by itself, and goes on where a download was cut off: the server honours ranges. */
export function DownloadLink({ href, children, label, ...look }: { href: string; children: ReactNode; label?: string } & ButtonProps) {
  return (
    <Button component="a" href={href} download leftSection={<IconDownload size={16} aria-hidden />} variant="default" {...(label && { "aria-label": label })} {...look}>
      {children}
    </Button>
  );
}
