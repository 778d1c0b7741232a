import { Button } from "@mantine/core";
import { IconMapPinOff } from "@tabler/icons-react";
import { Link } from "react-router";
import { Page } from "@/ui/page";
import { Empty } from "@/ui/states";

export default function NotFound() {
  return (
    <Page title="No such page">
      <Empty icon={IconMapPinOff} title="Nothing lives at this address" actions={<Button component={Link} to="/runs">To the runs</Button>}>
        The link may be of another version of this page, or of a run that was deleted.
      </Empty>
    </Page>
  );
}
