import { type ConvertCSSVariablesInput, createTheme, type MantineTheme } from "@mantine/core";

/** Slate water: 8 on white and white on 8 both stand at 6:1. */
const cairn = [
  "#e8f6f8", "#d0ebef", "#a3d7df", "#72c1ce", "#4cafc0", "#329fb3", "#1f8ca1", "#10788d", "#0a6578", "#065162",
] as const;

/** Mantine makes it a <header>, which outside of everything is a second banner of the page. */
const PLAIN_HEAD = { header: { role: "presentation" } };

/** Blue greys in place of neutral ones; 7 is the ground. */
const dark = [
  "#dde3e9", "#b8c1cb", "#929da9", "#74808b", "#46515c", "#37414a", "#222930", "#14181c", "#0f1316", "#0a0d10",
] as const;

export const theme = createTheme({
  primaryColor: "cairn",
  primaryShade: { light: 8, dark: 8 },
  colors: { cairn, dark },
  defaultRadius: "md",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
  headings: { fontWeight: "650" },
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    // These lock the scroll by a <style> element, which the policy forbids; global.css does it.
    Modal: { defaultProps: { lockScroll: false, centered: true, attributes: PLAIN_HEAD, styles: { title: { fontWeight: 650 } }, closeButtonProps: { "aria-label": "Close" } } },
    Drawer: { defaultProps: { lockScroll: false, attributes: PLAIN_HEAD, closeButtonProps: { "aria-label": "Close" } } },
    // Inside of the page, so that it lies in a landmark; its first child is an item, as a menu has to have it.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false, portalProps: { target: "#main" } } },
    Combobox: { defaultProps: { portalProps: { target: "#main" } } },
    // Ours are short: none needs to scroll, which without a mouse it could not be seen to do.
    Select: { defaultProps: { maxDropdownHeight: 420 } },
    MultiSelect: { defaultProps: { maxDropdownHeight: 420 } },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 300, events: { hover: true, focus: true, touch: false } } },
  },
});

/** Where Mantine's own colours of text fall short of 4.5:1. The build writes these into a stylesheet (theme-variables.ts). */
export function variables(whole: MantineTheme): ConvertCSSVariablesInput {
  const light: Record<string, string> = {
    "--mantine-color-dimmed": "#5a6470",
    "--mantine-color-placeholder": "#6b7580",
    "--mantine-color-error": whole.colors.red[9],
    "--mantine-color-anchor": whole.colors.cairn?.[8] ?? "",
    "--mantine-color-body": "#ffffff",
  };
  const dark: Record<string, string> = {
    "--mantine-color-dimmed": "#a4adb8",
    "--mantine-color-placeholder": "#8f99a5",
    "--mantine-color-error": whole.colors.red[4],
    "--mantine-color-anchor": whole.colors.cairn?.[3] ?? "",
    "--mantine-color-body": "#14181c",
    "--mantine-color-text": "#dde3e9",
    "--mantine-color-default": "#222930",
    "--mantine-color-default-hover": "#2b333b",
    "--mantine-color-default-border": "#3b454f",
  };
  for (const [name, shades] of Object.entries(whole.colors)) {
    light[`--mantine-color-${name}-light-color`] = shades[9];
    light[`--mantine-color-${name}-outline`] = shades[9];
    dark[`--mantine-color-${name}-light-color`] = shades[2];
    dark[`--mantine-color-${name}-outline`] = shades[3];
  }
  return { variables: {}, light, dark };
}
