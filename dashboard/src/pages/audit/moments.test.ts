import { describe, expect, it } from "vitest";
import { fieldOf, secondsOf } from "./moments";

describe("a field for date and time", () => {
  it("shows the seconds of an address in the zone of who reads, and gives them back", () => {
    const seconds = String(Date.UTC(2026, 10, 30, 14, 5) / 1000);
    expect(secondsOf(fieldOf(seconds))).toBe(seconds);
    expect(new Date(fieldOf(seconds)).getTime()).toBe(Number(seconds) * 1000);
  });

  it("is empty for what is no moment, and asks for none when it is empty", () => {
    expect([fieldOf(null), fieldOf(""), fieldOf("soon")]).toEqual(["", "", ""]);
    expect(secondsOf("")).toBeNull();
  });
});
