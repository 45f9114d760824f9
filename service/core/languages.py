"""Languages as BCP 47 wants them: in two letters where a language has two (RFC 5646, 2.2.1), as containers never do."""

from service.core.captions import language_tag

#: ISO 639-2, terminologic and bibliographic codes, each with its two letters of ISO 639-1.
_CODES = (
    "aaraa abkab afraf akaak albsq amham araar argan armhy asmas avaav aveae aymay azeaz bakba bambm baqeu belbe "
    "benbn bihbh bisbi bodbo bosbs brebr bulbg burmy catca cescs chach chece chizh chucu chvcv corkw cosco crecr "
    "cymcy czecs danda deude divdv dutnl dzodz ellel engen epoeo estet euseu eweee faofo fasfa fijfj finfi frafr "
    "frefr fryfy fulff geoka gerde glagd glega glggl glvgv greel grngn gujgu hatht hauha hebhe herhz hinhi hmoho "
    "hrvhr hunhu hyehy iboig iceis idoio iiiii ikuiu ileie inaia indid ipkik islis itait javjv jpnja kalkl kankn "
    "kasks katka kaukr kazkk khmkm kikki kinrw kirky komkv konkg korko kuakj kurku laolo latla lavlv limli linln "
    "litlt ltzlb lublu luglg macmk mahmh malml maomi marmr mayms mkdmk mlgmg mltmt monmn mrimi msams myamy nauna "
    "navnv nblnr ndend ndong nepne nldnl nnonn nobnb norno nyany ocioc ojioj orior ormom ossos panpa perfa plipi "
    "polpl porpt pusps quequ rohrm ronro rumro runrn rusru sagsg sansa sinsi slksk slosk slvsl smese smosm snasn "
    "sndsd somso sotst spaes sqisq srdsc srpsr sswss sunsu swasw swesv tahty tamta tattt telte tgktg tgltl thath "
    "tibbo tirti tonto tsntn tsots tuktk turtr twitw uigug ukruk urdur uzbuz venve vievi volvo welcy wlnwa wolwo "
    "xhoxh yidyi yoryo zhaza zhozh zulzu".split()
)
_SHORT = {code[:3]: code[3:] for code in _CODES}


def canonical(text: str) -> str | None:
    """A declared language as a tag that browsers know, `deu` and `ger` as `de`; None where it declares none."""
    tag = language_tag(text)
    if tag is None:
        return None
    first, *subtags = tag.split("-")
    return "-".join([_SHORT.get(first, first), *subtags])


def alike(one: str | None, other: str | None) -> bool:
    """Whether two tags are the same language, one of them perhaps told more closely: `en` and `en-GB`."""
    tags = [canonical(tag or "") for tag in (one, other)]
    parts = [tag.split("-") for tag in tags if tag]
    return len(parts) == 2 and all(a == b for a, b in zip(*parts, strict=False))
