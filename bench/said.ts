const asked = [
  (n: string) => `Hi, where is my order ${n}? It should have come yesterday.`,
  (n: string) => `I'd like to send back the lamp from order ${n}, it flickers.`,
  () => "Thanks, that helps a lot!",
  (n: string) => `The invoice ${n} shows two items but I only ordered one of them last week.`,
  (_: string, place: string) => `I moved to ${place} last month, can you change the address?`,
  () => "ok",
  (n: string) =>
    `My account number is ${n} and I can't log in since the update, it says wrong code.`,
  (_: string, place: string) => `Do you also deliver to ${place}, and how long does it take?`,
  () => "I'm allergic to nuts, is there any in the chocolate box?",
  (n: string) => `Yes please, cancel ${n} and refund it to my card.`,
];
const answered = [
  (n: string) => `I'm sorry about that. Order ${n} left our warehouse and is on its way to you.`,
  (n: string) =>
    `No problem. I have sent you a label for ${n}; please hand the parcel in within 14 days.`,
  () => "You're welcome! Is there anything else I can do for you?",
  (n: string) =>
    `You are right, ${n} has an item too many. I have corrected it and you will get a new invoice by mail.`,
  (_: string, place: string) =>
    `I have noted ${place} as your new address. It is used from your next order on.`,
  () => "Good. Have a nice day!",
  () =>
    "Please reset the code in the app under Settings, then sign in once more with your email address.",
  (_: string, place: string) => `Yes, we deliver to ${place}. It takes three to five working days.`,
  () => "The box is made without nuts, but in a plant where nuts are used, so traces are possible.",
  (n: string) => `Done: ${n} is cancelled, and the money is with you within five days.`,
];
const places = ["Hamburg", "Leeds", "Porto", "Lyon", "Gdansk", "Toronto", "Austin", "Cork"];

/** A turn of support chat; no two have the same texts where a number is named. */
export function said(i: number): { readonly userText: string; readonly replyText: string } {
  const which = (i * 7 + Math.floor(i / 10)) % asked.length;
  const number = String(100_000 + i);
  const place = places[i % places.length] ?? "";
  return {
    userText: asked[which]?.(number, place) ?? "",
    replyText: answered[which]?.(number, place) ?? "",
  };
}
