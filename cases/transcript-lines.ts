/** What a customer writes in a recorded conversation, and what goes on around it. */
export interface Line {
  readonly say: string;
  /** From here on the example backend does not answer, or answers again. */
  readonly backend?: "down" | "up";
}

/** One long conversation with each example: questions, detours, changes of mind, trouble, a hand-off. */
export const conversations: Readonly<Record<string, readonly Line[]>> = {
  shop: [
    { say: "Hello" },
    { say: "how long does delivery take to Austria?" },
    { say: "and what does it cost?" },
    { say: "where is my order L-10425?" },
    { say: "I'd like to return something" },
    { say: "how long do I have to send it back?" },
    { say: "it's order L-10426, the armchair" },
    { say: "sorry, it is another order: L-10423" },
    { say: "who pays for the return?" },
    { say: "an exchange please" },
    { say: "hm, actually I'd rather have my money back" },
    { say: "yes please" },
    { say: "can you guarantee that I get the refund by Friday?" },
    { say: "do you have the oak shelf in stock?", backend: "down" },
    { say: "is the oak shelf in stock?", backend: "up" },
    { say: "can I pay with my card 4111 1111 1111 1111?" },
    { say: "what do you think about the weather on Mars?" },
    { say: "this is ridiculous, I have been waiting for weeks and nobody helps me" },
    { say: "I want to talk to a human" },
    { say: "are you still there?" },
  ],
  bank: [
    { say: "good morning" },
    { say: "what does it cost to take out cash abroad?" },
    { say: "my card stopped working in a shop, it was declined" },
    { say: "there is a payment on my card that I don't know" },
    { say: "it's the card ending in 4821" },
    { say: "is it possible that somebody saw my PIN?" },
    { say: "49.90 euro" },
    { say: "no, never heard of it" },
    { say: "wait, which exchange rate do you use for dollars?" },
    { say: "yes please, open it" },
    { say: "I think I lost my card" },
    { say: "sorry, it is another card, 7710", backend: "down" },
    { say: "can you try again?", backend: "up" },
    { say: "yes, block it" },
    { say: "no thanks, not now" },
    { say: "what is my balance?" },
    { say: "should I put my savings into shares?" },
    { say: "raise my card limit to 5000 euro please, the one ending in 4821" },
    { say: "thank you, I'll wait" },
  ],
};
