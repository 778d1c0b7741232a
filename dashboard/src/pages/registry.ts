/** The pages, in the order of the navigation. Each is a chunk of its own but the one that mostly is the first: a page that
 * arrives behind the entry is shown 300 ms later than it could be, as React holds back what follows a placeholder. */
import { IconAdjustments, IconArchive, IconFileStack, IconHeartRateMonitor, IconListSearch, IconStack2, type TablerIcon, IconUsers } from "@tabler/icons-react";
import { type ComponentType, lazy } from "react";
import type { Role } from "@/api/model";
import RunsPage from "./runs/runs-page";

export interface PageEntry {
  path: string;
  title: string;
  icon: TablerIcon;
  /** At least this, to be shown in the navigation; the server decides anyway. */
  role: Role;
  page: ComponentType;
}

export const PAGES: readonly PageEntry[] = [
  { path: "/runs", title: "Runs", icon: IconStack2, role: "viewer", page: RunsPage },
  { path: "/backups", title: "Backups", icon: IconArchive, role: "viewer", page: lazy(() => import("./backups/backups-page")) },
  { path: "/streams", title: "Streams", icon: IconFileStack, role: "viewer", page: lazy(() => import("./streams/streams-page")) },
  { path: "/storage", title: "Storage", icon: IconHeartRateMonitor, role: "viewer", page: lazy(() => import("./storage/storage-page")) },
  { path: "/audit", title: "Audit", icon: IconListSearch, role: "admin", page: lazy(() => import("./audit/audit-page")) },
  { path: "/accounts", title: "Accounts", icon: IconUsers, role: "admin", page: lazy(() => import("./accounts/accounts-page")) },
  { path: "/settings", title: "Settings", icon: IconAdjustments, role: "admin", page: lazy(() => import("./settings/settings-page")) },
];

/** Pages about one thing: reached from a list. */
export const DETAIL_PAGES: readonly { path: string; page: ComponentType }[] = [
  { path: "/runs/:run", page: lazy(() => import("./run/run-page")) },
  { path: "/backups/:backup", page: lazy(() => import("./backups/backup-page")) },
  { path: "/streams/:stream", page: lazy(() => import("./streams/stream-page")) },
  { path: "/account", page: lazy(() => import("./account/account-page")) },
];
