/** How long a backup may stay, as the API takes it; the empty one is what the settings say. */
export const KEEPS = [
  { value: "", label: "As the settings say" },
  { value: "7d", label: "7 days" },
  { value: "30d", label: "30 days" },
  { value: "90d", label: "90 days" },
  { value: "365d", label: "1 year" },
  { value: "forever", label: "For ever" },
];
