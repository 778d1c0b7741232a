import { Button, type ButtonProps } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconDownload } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useSession } from "@/session/session";
import { Confirm } from "@/ui/confirm";
import { DownloadLink } from "@/ui/download-link";

/** Out of an encrypted store what is downloaded lies in the clear where it is saved: that is asked first. */
export function Download({ href, children, label, ...look }: { href: string; children: ReactNode; label: string } & ButtonProps) {
  const [asked, { open, close }] = useDisclosure(false);
  if (!useSession().store.encrypted)
    return (
      <DownloadLink href={href} label={label} {...look}>
        {children}
      </DownloadLink>
    );
  const fetchIt = () => {
    close();
    location.assign(`${href}?decrypt=true`); // an attachment: the page stays
  };
  return (
    <>
      <Button variant="default" leftSection={<IconDownload size={16} aria-hidden />} aria-label={label} {...look} onClick={open}>
        {children}
      </Button>
      <Confirm opened={asked} onClose={close} title="Download in the clear?" act="Download" onConfirm={fetchIt}>
        This store is encrypted; what you download is not. Whoever can read the file where you save it can read all of it. The download is
        written down in the audit log.
      </Confirm>
    </>
  );
}
