"""What the customers' pages say, in English and Polish."""

from collections.abc import Mapping

LANGUAGES = ("en", "pl")
Texts = Mapping[str, str]

EN: Texts = {
    "lang": "en",
    "unsubscribe": "Unsubscribe",
    "unsubscribe_ask": "Do you no longer want to get “{purpose}” from {shop} by {channel}?",
    "unsubscribe_do": "Yes, unsubscribe me",
    "unsubscribed": "You are unsubscribed",
    "unsubscribed_say": "{shop} will send you no more “{purpose}” by {channel}. It takes effect at once.",
    "preferences": "Your choices",
    "preferences_say": "What {shop} may send you. A change takes effect at once.",
    "saved": "Your choice is saved.",
    "nothing": "We have no permission of yours on record, so nothing is sent to you.",
    "turn_off": "Turn off",
    "turn_on": "Turn on",
    "turn_on_say": "I agree to get “{purpose}” from {shop} by {channel}. I can withdraw this at any time.",
    "all_off": "Turn everything off",
    "always": "Messages about your orders and appointments do not depend on these choices.",
    "granted": "on",
    "requested": "waits for your confirmation",
    "refused": "off",
    "withdrawn": "off",
    "confirm": "Confirm",
    "confirm_ask": "I agree to get “{purpose}” from {shop} by {channel}. I can withdraw this at any time.",
    "confirm_do": "Yes, I confirm",
    "confirmed": "Thank you, it is confirmed",
    "confirmed_say": "{shop} may now send you “{purpose}” by {channel}. You can withdraw this at any time.",
    "stale": "Nothing to confirm",
    "stale_say": "This confirmation is not waiting any more, or the address has changed. Nothing was changed.",
    "unknown": "This choice is not known",
    "unknown_say": "Nothing was changed. Please open the page from the link in the message and choose there.",
    "bad": "This link is not valid",
    "bad_say": "It may have been cut off when it was copied. Please use the link in the message as it is.",
    "away": "Please try again in a moment",
    "away_say": "We could not save this just now. Nothing was changed.",
    "email": "e-mail",
    "sms": "SMS",
    "push": "push notification",
    "whatsapp": "WhatsApp",
    "viber": "Viber",
    "marketing": "offers and news",
    "transactional": "offers and news",
    "all": "offers and news",
}

PL: Texts = {
    "lang": "pl",
    "unsubscribe": "Rezygnacja",
    "unsubscribe_ask": "Czy chcesz zrezygnować z wiadomości „{purpose}” od {shop} ({channel})?",
    "unsubscribe_do": "Tak, rezygnuję",
    "unsubscribed": "Rezygnacja przyjęta",
    "unsubscribed_say": "{shop} nie wyśle więcej wiadomości „{purpose}” ({channel}). Zmiana działa od razu.",
    "preferences": "Twoje zgody",
    "preferences_say": "Co {shop} może Ci wysyłać. Każda zmiana działa od razu.",
    "saved": "Zapisaliśmy Twój wybór.",
    "nothing": "Nie mamy żadnej Twojej zgody, więc nic do Ciebie nie wysyłamy.",
    "turn_off": "Wyłącz",
    "turn_on": "Włącz",
    "turn_on_say": "Zgadzam się otrzymywać wiadomości „{purpose}” od {shop} ({channel}). Mogę to zawsze cofnąć.",
    "all_off": "Wyłącz wszystko",
    "always": "Wiadomości o zamówieniach i wizytach nie zależą od tych zgód.",
    "granted": "włączone",
    "requested": "czeka na potwierdzenie",
    "refused": "wyłączone",
    "withdrawn": "wyłączone",
    "confirm": "Potwierdzenie",
    "confirm_ask": "Zgadzam się otrzymywać wiadomości „{purpose}” od {shop} ({channel}). Mogę to zawsze cofnąć.",
    "confirm_do": "Tak, potwierdzam",
    "confirmed": "Dziękujemy, zgoda potwierdzona",
    "confirmed_say": "{shop} może teraz wysyłać Ci wiadomości „{purpose}” ({channel}). Możesz to zawsze cofnąć.",
    "stale": "Nie ma czego potwierdzać",
    "stale_say": "To potwierdzenie już nie czeka albo zmienił się adres. Nic nie zostało zmienione.",
    "unknown": "Nie znamy takiego wyboru",
    "unknown_say": "Nic nie zostało zmienione. Otwórz stronę z linku w wiadomości i wybierz na niej.",
    "bad": "Ten link jest nieprawidłowy",
    "bad_say": "Możliwe, że został ucięty przy kopiowaniu. Użyj linku z wiadomości w całości.",
    "away": "Spróbuj ponownie za chwilę",
    "away_say": "Nie udało się teraz zapisać zmiany. Nic nie zostało zmienione.",
    "email": "e-mail",
    "sms": "SMS",
    "push": "powiadomienia push",
    "whatsapp": "WhatsApp",
    "viber": "Viber",
    "marketing": "oferty i nowości",
    "transactional": "oferty i nowości",
    "all": "oferty i nowości",
}


def language(accept: str | None) -> Texts:
    """The texts that a browser's `Accept-Language` prefers (RFC 9110, section 12.5.4); English when in doubt."""
    best, weight = "en", 0.0
    for part in (accept or "").split(","):
        tag, _, parameters = part.strip().partition(";")
        name = tag.strip().lower().partition("-")[0]
        quality = _quality(parameters)
        if name in LANGUAGES and quality > weight:
            best, weight = name, quality
    return PL if best == "pl" else EN


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
