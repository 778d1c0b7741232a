import { Button } from "@mantine/core";
import { IconLock } from "@tabler/icons-react";
import { Link } from "react-router";
import { useSession } from "@/session/session";
import { Empty } from "./states";

/** In place of what the role may not see; the server refuses it anyway. */
export function ForAdmins({ what }: { what: string }) {
  const { account } = useSession();
  return (
    <Empty icon={IconLock} title={`${what} is for admins`} actions={<Button component={Link} to="/account" variant="default">What your account may do</Button>}>
      You are signed in as {account.name}, {account.role === "operator" ? "an operator" : `a ${account.role}`}.
    </Empty>
  );
}
