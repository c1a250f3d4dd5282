import { findPhoneNumbersInText, type CountryCode } from "libphonenumber-js/max";

export interface ValueSpan {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

const mail = /[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}/gu;

export function mailsIn(text: string): readonly ValueSpan[] {
  return Array.from(text.matchAll(mail), ({ 0: said, index }) => ({
    value: said.toLowerCase(),
    start: index,
    end: index + said.length,
  }));
}

/** In E.164. A number without its country's prefix is read as one of the default country, if there is one. */
export function phonesIn(text: string, country: string | undefined): readonly ValueSpan[] {
  if (!/\d{3}/.test(text.replaceAll(/[\s().-]/g, ""))) return [];
  const found = findPhoneNumbersInText(
    text,
    country === undefined ? undefined : { defaultCountry: country as CountryCode },
  );
  return found.map(({ number, startsAt, endsAt }) => ({
    value: number.number,
    start: startsAt,
    end: endsAt,
  }));
}
