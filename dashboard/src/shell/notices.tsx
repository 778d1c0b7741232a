import { Notifications, notifications } from "@mantine/notifications";
import "@mantine/notifications/styles.css";
import { IconCheck, IconX } from "@tabler/icons-react";
import { useEffect } from "react";
import { showBy } from "@/ui/notify";

const LOOKS = {
  good: { color: "green.8", icon: <IconCheck size={18} aria-hidden /> },
  bad: { color: "red.8", icon: <IconX size={18} aria-hidden /> },
  plain: { color: "cairn", icon: undefined },
};

export default function Notices() {
  useEffect(() => {
    showBy(({ title, message, tone = "plain", stays }) =>
      notifications.show({
        ...LOOKS[tone],
        title,
        message,
        autoClose: stays ? false : 6000,
        withBorder: true,
        closeButtonProps: { "aria-label": "Close this note" },
        role: tone === "bad" ? "alert" : "status",
      }),
    );
    return () => showBy(null);
  }, []);
  return <Notifications position="bottom-right" limit={4} />;
}
