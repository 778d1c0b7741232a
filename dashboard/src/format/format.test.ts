import { describe, expect, test } from "vitest";
import { formatPercent, formatRate, formatSize } from "./number";
import { formatDuration, formatRelative } from "./time";

describe("numbers", () => {
  test("what is not done yet is never shown as done", () => {
    expect(formatPercent(99.96)).toBe("99.9 %");
    expect(formatPercent(100)).toBe("100 %");
    expect(formatPercent(48.9)).toBe("48 %");
  });

  test("sizes change their unit before they have four digits", () => {
    expect(formatSize(0)).toBe("0 B");
    expect(formatSize(999)).toBe("999 B");
    expect(formatSize(999_600)).toBe("1.0 MB");
    expect(formatSize(18_800)).toBe("18.8 KB");
    expect(formatSize(123_456_789)).toBe("123 MB");
  });

  test("slow rates are told by the minute or the hour", () => {
    expect(formatRate(6.42)).toBe("6.4/s");
    expect(formatRate(0.5)).toBe("30.0/min");
    expect(formatRate(0.001)).toBe("3.6/h");
  });
});

describe("times", () => {
  test("durations have two parts at most", () => {
    expect(formatDuration(0.2)).toBe("200 ms");
    expect(formatDuration(59.6)).toBe("1 min");
    expect(formatDuration(200)).toBe("3 min 20 s");
    expect(formatDuration(3600 * 26 + 300)).toBe("1 d 2 h");
  });

  test("a moment ago is now, also where the clocks differ a little", () => {
    expect(formatRelative(1000, 1004)).toBe("just now");
    expect(formatRelative(1000.5, 1000)).toBe("just now");
    expect(formatRelative(1000, 1130)).toMatch(/2 min/);
  });
});
