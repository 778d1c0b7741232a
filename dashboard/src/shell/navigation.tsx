import { NavLink } from "react-router";
import type { Role } from "@/api/model";
import { PAGES } from "@/pages/registry";
import { covers } from "@/session/session";
import classes from "./shell.module.css";

export function Navigation({ role, then }: { role: Role; then?: () => void }) {
  return PAGES.filter((page) => covers(role, page.role)).map(({ path, title, icon: Icon }) => (
    <NavLink key={path} to={path} className={classes.link} {...(then && { onClick: then })}>
      <Icon size={19} stroke={1.7} aria-hidden />
      {title}
    </NavLink>
  ));
}
