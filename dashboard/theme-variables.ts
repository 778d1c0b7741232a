// Mantine would put the variables of a theme into the page as a <style> element, which a strict policy forbids. They are known
// when the page is built: here they become a stylesheet like any other.
import { convertCssVariables, defaultCssVariablesResolver, mergeMantineTheme, DEFAULT_THEME } from "@mantine/core";
import type { Plugin } from "vite";
import { theme, variables } from "./src/theme.ts";

const NAME = "virtual:theme-variables.css";

export function themeVariables(): Plugin {
  return {
    name: "theme-variables",
    resolveId: (id) => (id === NAME ? `\0${NAME}` : null),
    load: (id) => (id === `\0${NAME}` ? stylesheet() : null),
  };
}

function stylesheet(): string {
  const whole = mergeMantineTheme(DEFAULT_THEME, theme);
  const base = defaultCssVariablesResolver(whole);
  const ours = variables(whole);
  return convertCssVariables(
    {
      variables: { ...base.variables, ...ours.variables },
      light: { ...base.light, ...ours.light },
      dark: { ...base.dark, ...ours.dark },
    },
    ":root",
  );
}
