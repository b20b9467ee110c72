"""The word lists that the rules read by: what is a relation, an animal, a language, and what ends a phrase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


def _phrases(text: str) -> frozenset[str]:
    return frozenset(" ".join(part.split()) for part in text.split(","))


# --- what a sentence is made of -------------------------------------------------------------------

CONTRACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    short: tuple(long.split())
    for short, long in (
        line.split(maxsplit=1)
        for line in """i'm i am;im i am;i've i have;ive i have;i'd i would;i'll i will;we're we are;we've we have
we'll we will;we'd we would;don't do not;dont do not;doesn't does not;doesnt does not;didn't did not;didnt did not
isn't is not;isnt is not;aren't are not;arent are not;wasn't was not;wasnt was not;weren't were not;ain't am not
haven't have not;havent have not;hasn't has not;hasnt has not;hadn't had not;can't can not;cant can not;cannot can not
couldn't could not;wouldn't would not;shouldn't should not;won't will not;wont will not;gonna going to
wanna want to;gotta have to;name's name is;favorite's favorite is;favourite's favourite is;birthday's birthday is
email's email is;number's number is;i'ma i will""".replace("\n", ";").split(";")
    )
}

DETERMINERS: Final = words("a an the my our some his her their")
FILLERS: Final = words(
    "turns out hi hey hello well so oh yeah yes yep yup ok okay actually btw also and but plus honestly anyway "
    "anyways fyi haha lol hmm no nope thanks wow currently today now recently nowadays lately originally personally "
    "sure cool great nice ah aw aww omg ugh unfortunately luckily finally sadly apart besides additionally oops heh "
    "tbh ngl fyi imo fwiw ps p.s anyhow meanwhile thankfully right please because cause cuz since though although yet "
    "then just basically speaking yea oof um uh too or"
)
TIME_OPENERS: Final = words(
    "in on last this next since for ago at the a an about then yesterday today tonight tomorrow weekend week weeks "
    "month months year years day days morning evening afternoon night summer winter spring autumn fall january "
    "february march april may june july august september october november december monday tuesday wednesday thursday "
    "friday saturday sunday two three four five six seven eight nine ten few couple of early late mid end beginning "
    "back right now these as couple's past nowadays so far"
)
JOINERS: Final = words("and but so because since cause cuz though although plus also then yet as")
ADVERBS: Final = words(
    "really actually currently also still now just always absolutely totally truly definitely originally already "
    "recently finally even especially particularly personally mostly usually generally both all officially happily "
    "only simply certainly honestly literally fully severely highly deathly super very so quite pretty extremely "
    "deadly badly mildly strictly primarily mainly lately nowadays today presently ever too completely deeply "
    "genuinely obviously sadly unfortunately luckily proudly forever secretly newly freshly legally again seriously "
    "already mom"
) - {"mom"}
UNSURE_ADVERBS: Final = words(
    "maybe probably perhaps possibly supposedly apparently almost nearly sometimes rarely occasionally practically "
    "virtually technically allegedly hardly barely seldom once kinda sorta basically half somewhat often normally "
    "theoretically temporarily briefly"
)
MODALS: Final = words("would could should might may must can will shall")
PRONOUNS: Final = words(
    "i you he she it we they me him us them this that these those there here your its yours mine ours theirs myself "
    "yourself himself herself itself ourselves themselves someone somebody something anything everything nothing "
    "anyone anybody everyone everybody nobody none one ones both all what whatever who whom whose which how why when "
    "where so such each other others another same either neither u ya yall y'all ur thing things stuff idea way his "
    "her their her's"
)
VERBS: Final = words(
    "am is are was were be been being do does did have has had having will would can could should may might must "
    "shall want wants wanted need needs needed know knows knew think thinks thought feel feels felt go goes went "
    "gone come comes came get gets got give gives gave make makes made take takes took tell tells told try tries "
    "tried use uses used find finds found hope hopes hoped start starts started keep keeps kept let lets look looks "
    "looked seem seems see saw seen say says said ask asks asked live lives lived like likes liked love loves loved "
    "hate hates hated enjoy enjoys enjoyed believe believes believed bring brings brought remember remembers became "
    "become becomes wonder wish wishes help helps helped plan plans planned decide decided spent spend spends wait "
    "can't don't didn't won't isn't wasn't it's that's i'm im i've i'd i'll he's she's they're we're you're there's "
    "let's who's what's dont cant thank thanks bought ended moved met made works worked makes gotta gonna wanna "
    "prefer prefers learned stopped never always not no yes"
)
BAD_START: Final = VERBS | words(
    "to of in on at by for with from about into as than then if because but and or so though although while when "
    "where how why what which who that just also even especially particularly really very too quite much more most "
    "less least many any such like unlike not no never always maybe probably though yet still again already soon "
    "later now today yesterday tomorrow tonight great nice better best bad well enough having being seeing hearing "
    "knowing thinking getting both either neither each every all only other another thanks thank please sorry except "
    "including plus lol haha hopefully actually basically usually sometimes often mainly mostly anyway since after "
    "before during until without within around over under between due lot lots bit kind sort couple bunch ton tons "
    "plenty part way idea fact nothing none one ones same how's"
)
STOPS: Final = words(
    "any anymore and or but because cause cuz so since "
    "which who whom that when where while if though although with for from at in on by to as than then after before "
    "during until till about into onto over under through without within is are was were am be been have has had do "
    "does did will would can could should may might must i we you he she it they me him us them right now currently "
    "too also anymore today tonight yesterday tomorrow lol haha btw though tho especially including except thanks "
    "please ever since ago last next this these those recently lately just once again already unless whereas despite "
    "instead not never no yet still nowadays originally actually really full-time part-time these how why what whose "
    "+ & n mostly mainly sometimes usually every all atm ironically"
)

# --- people and animals ---------------------------------------------------------------------------

RELATIONS: Final[Mapping[str, str]] = {
    said: relation
    for relation, others in {
        "mother": "mom mum mommy mummy mama mam", "father": "dad daddy papa", "brother": "bro", "sister": "sis",
        "son": "sons", "daughter": "daughters", "child": "kid kids children", "cousin": "cousins", "aunt": (
            "aunts auntie"
        ),
        "uncle": "uncles", "grandmother": "grandma granny nana grandmothers gran", "grandfather": "grandpa granddad",
        "nephew": "nephews", "niece": "nieces", "grandson": "grandsons", "granddaughter": "granddaughters",
        "grandchild": "grandkid grandkids grandchildren", "stepson": "", "stepdaughter": "", "stepmother": "stepmom",
        "stepfather": "stepdad", "stepsister": "", "stepbrother": "", "half-sister": "", "half-brother": "",
        "mother-in-law": "", "father-in-law": "", "sister-in-law": "", "brother-in-law": "", "twin": "",
        "godmother": "", "godfather": "", "goddaughter": "", "godson": "", "sibling": "siblings",
        "parent": "parents",
    }.items()
    for said in (relation, *others.split())
} | {"sisters": "sister", "brothers": "brother"}  # fmt: skip
"""Words for relatives, to the word that facts carry."""
ONE_EACH: Final = words("mother father sister brother son daughter")
"""Relatives that are told apart well enough when no name is said."""
PARTNERS: Final = words("wife husband girlfriend boyfriend partner fiance fiancee fiancé fiancée spouse hubby")
ANIMALS: Final[Mapping[str, str]] = {
    said: animal
    for animal, others in {
        "dog": "dogs doggo", "cat": "cats", "puppy": "puppies pup", "kitten": "kittens kitty", "hamster": "hamsters",
        "rabbit": "rabbits bunny bunnies", "parrot": "parrots", "horse": "horses", "pony": "ponies",
        "guinea pig": "", "turtle": "turtles", "tortoise": "tortoises", "snake": "snakes", "lizard": "lizards",
        "goldfish": "", "parakeet": "parakeets", "budgie": "budgies", "ferret": "ferrets", "gecko": "geckos",
        "canary": "", "chinchilla": "", "gerbil": "gerbils", "hedgehog": "", "cockatiel": "", "iguana": "",
        "labrador": "lab", "poodle": "", "beagle": "", "dachshund": "", "bulldog": "", "corgi": "", "husky": "",
        "chihuahua": "", "terrier": "", "golden retriever": "retriever", "german shepherd": "shepherd", "greyhound": "",
        "tabby": "", "axolotl": "", "tarantula": "", "cockatoo": "", "macaw": "", "goat": "goats", "hen": "hens",
        "donkey": "donkeys", "duck": "ducks", "rat": "rats", "schnauzer": "", "pomeranian": "", "labradoodle": "",
        "cockapoo": "", "samoyed": "", "vizsla": "", "mastiff": "", "akita": "", "malinois": "", "setter": "",
        "collie": "", "rottweiler": "", "pug": "", "spaniel": "", "whippet": "", "dalmatian": "",
    }.items()
    for said in (animal, *others.split())
}  # fmt: skip
DOGS: Final = words(
    "labrador poodle beagle dachshund bulldog corgi husky chihuahua terrier retriever shepherd greyhound collie "
    "rottweiler pug spaniel whippet dalmatian schnauzer pomeranian labradoodle cockapoo samoyed vizsla mastiff akita "
    "malinois "
    "setter"
)
"""Breeds: the animal is a dog."""
NOT_NAMES: Final = words(
    "i i'm im i've i'll i'd is was are has had and or but the a an my our who which that this they he she it we you "
    "just also always never really when where while if for from in on at to of with monday tuesday wednesday thursday "
    "friday saturday sunday january february march april june july august september october november december "
    "christmas easter thanksgiving english french german spanish italian lol god ok yes no not so too can will would "
    "because since as then now here there today okay thanks please sorry happy birthday day both all loves likes lives "
    "does do did have said says"
)
NO_NAMES: Final = words(
    "able absent active afraid agnostic alive alone amazed amazing american amused ancient angry annoyed anonymous "
    "anxious apple aquarius arab aries ashamed asian asleep atheist autistic available aware away awake awesome awful "
    "back bad baked banned basque batman beat beautiful best better bi big bipolar bisexual black blessed blind "
    "blonde blue bored boring born bound brave british broke broken brown buddhist burned busy buzzed calm cancer "
    "canadian capricorn captain careful catholic cautious celt certain chill christian christ cis clean clear clever "
    "clueless cold comfy coming concerned confident confused conservative content cool covid crazy creative crushed "
    "cuban curious curvy czech danish dead deaf dear deep democrat depressed desperate determined devastated "
    "different disabled disappointed dizzy done doomed dracula drained drunk dry dumb dutch dying eager early easy "
    "ecstatic elated elf embarrassed emotional empty engaged english enough epic established european even evil "
    "excited exhausted expecting exploring fabulous false family famous fantastic fast fat fed feeling female "
    "feminist fine finished finn first fit flabbergasted flattered focused forgetful forty free french fresh friendly "
    "frozen frustrated full fully funny furious game gandalf gay gemini generation genx german getting giving glad "
    "going gone good gothic grateful great greek green groot grown gryffindor guilty half happy hard healthy "
    "heartbroken hello high hindu hispanic hobbit home homeless homesick honest honored hopeful hopeless horrible hot "
    "human hulk humbled hundred hungover hungry hurt hyped ill impatient impressed independent indian indifferent "
    "injured innocent inspired interested intj infp introvert introverted irish iron irritated islamic jealous jedi "
    "jesus jewish jew joker joking joyful just keen kidding kind known korean late latina latino laid lazy leaving "
    "left lesbian liberal libra likely listening literally little live lonely long looking lost loud loving lucky "
    "lutheran mad male mario married masculine maxed merlin mexican mobile moderate moody moon more mormon morning "
    "moved much multilingual muslim mute naive naked native near nearly neat nervous neurodivergent neurotypical "
    "neutral new nice nobody nonbinary normal not nostalgic numb obsessed off offended offline old okay ok on online "
    "only open optimistic orthodox out outraged outside over overjoyed overwhelmed own packed pagan panicking "
    "paranoid parked part patient perfect persian pikachu pisces player pleased polite poor popeye popular positive "
    "possessed potter pregnant premium present pretty private pro probably productive protestant proud psyched punk "
    "pumped puzzled queer quiet quite ravenclaw ready real red refreshed relaxed relieved religious republican "
    "responsible rested rich right royal rude ruined running rushed russian sad safe sagittarius santa sassy satan "
    "satisfied saved scared scorpio scottish secure seeing sensitive serious set sherlock shocked short shrek shy "
    "sick sikh silent silly simba simple single skeptical sleepy slow slytherin smart sober socialist solo some "
    "somebody sore sorry spartacus speechless spiderman spiritual spoiled stable starved starving stoked straight "
    "stressed strong stubborn stuck stumped stunned stupid super superman sure surprised sus swamped sweet swiss "
    "talking tall taken taurus team teen tense terrible terrified thai thankful thirsty thor thrilled tied tiny tipsy "
    "tired torn total touched tough trans transgender trapped troubled trying turkish twenty type ugly unavailable "
    "undecided underwater unemployed unhappy unique unlucky unwell upset used useless vaccinated vader vegan very "
    "vietnamese vip virgo visiting voldemort vulnerable waiting walking warm wasted weak weird welcome well wet white "
    "wicked wiccan wide wild willing winning wired wise wolverine worn worried worse worthy wrong yoda young yours "
    "zeus zen zoom hufflepuff gen millennial boomer dad mom mum grandpa grandma someone anyone nothing same here "
    "newbie noob beginner lurker rookie guy girl guest customer client member admin root user day night week spring "
    "summer autumn fall winter halloween christmas easter thanksgiving ramadan hanukkah diwali trump sir madam boss "
    "president king queen pope mayor owner founder ceo cto cfo coo vp hr it head chief senior junior lead co-founder "
    "project product thing season episode version me you him her them us monday tuesday wednesday thursday friday "
    "saturday sunday inside problem question quick help please thanks still down up everything everyone nobody's "
    "filipino kenyan nigerian welsh deutsch quebecois flemish slav nordic baltic muggle wizard vampire witch pirate "
    "commander general sergeant lieutenant major colonel lol haha wow yes no yeah yep nope budget report invoice file "
    "unknown confidential untitled none true"
)
"""What may stand, with a capital or without, behind "I'm" and is no name."""
NAMES_LIKE_WORDS: Final = words(
    "vivian adrian brian ian julian sebastian lillian damian fabian jillian gillian dorian florian maximilian kilian "
    "bastian kian aryan killian ilian cyprian hadrian bryan lilian marian mariam ryan arian vian mason taylor hunter "
    "carter parker cooper porter archer fisher sawyer tyler piper dean miller chandler skipper marshall page clark "
    "cook baker smith potter weaver turner mary hope faith grace joy ezra denise denese varghese trish mitch jess "
    "tess"
)
"""Names that look like a people, a trade or a state."""
RANKS: Final = words(
    "head chief senior junior lead principal vice deputy assistant associate general managing executive regional "
    "sales staff product project software data marketing human team customer account office shift night full-time "
    "part-time"
)
"""What stands before a job and before no surname."""
ANSWERS_TO: Final = words("called named")

# --- places, work, study --------------------------------------------------------------------------

NOT_PLACES: Final = NOT_NAMES | words(
    "mars venus jupiter hell heaven narnia hogwarts mordor atlantis wonderland neverland gotham oz westeros krypton "
    "excel photoshop slack zoom gmail outlook powerpoint notion android ios vim emacs react typescript javascript "
    "rust git github jira azure aws chrome firefox safari windows spotify netflix youtube twitter reddit instagram "
    "facebook tiktok bed crocs levi's lululemon denial canva figma teams sims hyrule azeroth cloud moon utopia "
    "christ fear peace harmony constant pain hope denial luxury poverty town nature apartment house dorm dorms "
    "suburbs darkness isolation silence present past moment bubble different same small big one two sync general "
    "particular tears new another bed couch floor back front top bigger smaller online remote plan linux windows mac "
    "python java full part night minecraft work home school college university love chaos"
)
PLACE_WORDS: Final = words(
    "town city village suburb suburbs countryside farm neighborhood neighbourhood hamlet area island community"
)
PLACES: Final = _phrases(
    "london, paris, berlin, madrid, barcelona, lisbon, porto, rome, milan, naples, vienna, munich, hamburg, cologne, "
    "frankfurt, zurich, geneva, bern, basel, brussels, antwerp, amsterdam, rotterdam, utrecht, copenhagen, oslo, "
    "bergen, stockholm, gothenburg, malmo, helsinki, tallinn, riga, vilnius, warsaw, krakow, gdansk, prague, brno, "
    "budapest, bucharest, sofia, athens, thessaloniki, istanbul, ankara, izmir, dublin, cork, galway, edinburgh, "
    "glasgow, manchester, liverpool, leeds, sheffield, bristol, birmingham, nottingham, cardiff, belfast, brighton, "
    "oxford, cambridge, york, newcastle, moscow, kyiv, kiev, minsk, zagreb, belgrade, ljubljana, sarajevo, new york, "
    "nyc, brooklyn, boston, chicago, los angeles, la, san francisco, san diego, san jose, seattle, portland, denver, "
    "austin, houston, dallas, phoenix, philadelphia, miami, orlando, tampa, atlanta, nashville, memphis, detroit, "
    "cleveland, columbus, cincinnati, pittsburgh, baltimore, washington, dc, minneapolis, milwaukee, st louis, "
    "kansas city, new orleans, las vegas, salt lake city, sacramento, oakland, raleigh, charlotte, toronto, "
    "montreal, vancouver, ottawa, calgary, edmonton, quebec, halifax, winnipeg, mexico city, guadalajara, havana, "
    "bogota, medellin, lima, quito, santiago, buenos aires, montevideo, sao paulo, rio de janeiro, rio, brasilia, "
    "caracas, tokyo, osaka, kyoto, seoul, busan, beijing, shanghai, shenzhen, hong kong, taipei, singapore, bangkok, "
    "chiang mai, hanoi, ho chi minh city, kuala lumpur, jakarta, bali, manila, delhi, new delhi, mumbai, bangalore, "
    "bengaluru, hyderabad, chennai, kolkata, pune, karachi, lahore, dhaka, kathmandu, colombo, dubai, abu dhabi, "
    "doha, riyadh, tel aviv, jerusalem, beirut, amman, cairo, casablanca, marrakech, tunis, lagos, abuja, accra, "
    "nairobi, kampala, addis ababa, cape town, johannesburg, durban, sydney, melbourne, brisbane, perth, adelaide, "
    "canberra, hobart, auckland, wellington, christchurch, usa, us, america, the us, the usa, the states, uk, the "
    "uk, england, scotland, wales, ireland, france, germany, spain, portugal, italy, austria, switzerland, belgium, "
    "holland, netherlands, the netherlands, denmark, norway, sweden, finland, iceland, estonia, latvia, lithuania, "
    "poland, czechia, slovakia, hungary, romania, bulgaria, greece, turkey, ukraine, russia, croatia, serbia, "
    "slovenia, canada, mexico, cuba, colombia, peru, chile, argentina, uruguay, brazil, venezuela, ecuador, bolivia, "
    "japan, korea, south korea, china, taiwan, thailand, vietnam, malaysia, indonesia, philippines, the philippines, "
    "india, pakistan, bangladesh, nepal, sri lanka, israel, lebanon, jordan, egypt, morocco, tunisia, nigeria, "
    "ghana, kenya, uganda, ethiopia, south africa, australia, new zealand, alabama, alaska, arizona, arkansas, "
    "california, colorado, connecticut, delaware, florida, hawaii, idaho, illinois, indiana, iowa, kansas, kentucky, "
    "louisiana, maine, maryland, massachusetts, michigan, minnesota, mississippi, missouri, montana, nebraska, "
    "nevada, new hampshire, new jersey, new mexico, north carolina, south carolina, north dakota, south dakota, "
    "ohio, oklahoma, oregon, pennsylvania, rhode island, tennessee, texas, utah, vermont, virginia, west virginia, "
    "wisconsin, wyoming, ontario, british columbia, alberta"
)
"""Places that are known even when written in lower case."""
EMPLOYER_WORDS: Final = words(
    "government council army navy police church ministry theater theatre cinema hospice spa nonprofit hospital bank "
    "school startup start-up company university firm agency bakery cafe café restaurant library clinic museum shop "
    "store supermarket pharmacy nonprofit non-profit charity factory warehouse hotel kindergarten daycare nursery "
    "brewery bookstore bookshop newspaper magazine studio laboratory lab garage salon gym zoo airline consultancy "
    "publisher ngo college shelter farm winery callcenter bar pub diner boutique dealership"
)
COMPANIES: Final = words(
    "google amazon microsoft apple netflix meta facebook tesla ibm intel nvidia oracle siemens sap bosch bmw spotify "
    "uber airbnb ikea tesco walmart target starbucks mcdonalds deloitte kpmg pwc accenture nhs nasa bbc nokia "
    "ericsson adobe airbus boeing philips lidl aldi zalando volkswagen daimler toyota honda sony samsung lg huawei "
    "lenovo dell hp cisco qualcomm amd paypal shopify salesforce twitter linkedin dropbox github gitlab atlassian "
    "infosys wipro tcs capgemini mckinsey unilever nestle pfizer novartis roche bayer basf merck astrazeneca gsk bp "
    "exxon chevron ford gm ferrari renault peugeot volvo scania saab asml abn barclays hsbc lloyds natwest santander "
    "jpmorgan citibank ubs ey mastercard vodafone telefonica verizon comcast disney pixar ubisoft nintendo lego "
    "maersk dhl fedex lufthansa ryanair easyjet costco carrefour sainsbury's asda waitrose morrisons ocado decathlon "
    "h&m zara inditex adidas nike wayfair etsy ebay booking.com expedia doordash deliveroo lyft revolut monzo klarna "
    "n26 openai anthropic deepmind palantir databricks mongodb redhat vmware thoughtworks arup skanska rolls-royce bt "
    "o2 itv cnn reuters bloomberg unicef oxfam"
)
SERVICES: Final = words(
    "facebook instagram twitter linkedin netflix spotify discord tinder bumble youtube tiktok reddit slack zoom "
    "whatsapp telegram snapchat pinterest twitch duolingo strava uber airbnb amazon etsy ebay dropbox github paypal "
    "revolut visa wise monzo orange total o2 zara target shell"
)
"""Companies that one may also join, quit or leave as a customer."""
PASTIMES: Final = words(
    "facebook instagram twitter linkedin netflix discord tinder bumble youtube tiktok reddit slack zoom whatsapp "
    "telegram "
    "snapchat pinterest twitch duolingo strava"
)
"""Those of them that one mostly joins so."""
CLUBS: Final = words(
    "club choir band team gym league party church union scouts guides watchers greenpeace crossfit mensa rotary "
    "toastmasters labour tories greens amnesty society committee board group class course orchestra"
)
"""What one joins without working there."""
JOBS: Final = words(
    "tester nurse teacher doctor engineer developer programmer lawyer accountant chef cook baker writer author "
    "journalist editor designer architect artist painter musician singer actor actress dancer photographer filmmaker "
    "director producer manager consultant analyst scientist researcher biologist chemist physicist mathematician "
    "historian professor lecturer librarian pharmacist dentist therapist psychologist psychiatrist surgeon paramedic "
    "firefighter policeman policewoman officer soldier pilot driver trucker mechanic electrician plumber carpenter "
    "welder builder farmer gardener florist barber hairdresser stylist beautician waiter waitress bartender barista "
    "cashier salesman saleswoman salesperson receptionist secretary assistant clerk banker broker economist "
    "statistician translator interpreter tutor coach trainer instructor caregiver nanny babysitter housekeeper "
    "janitor cleaner guard detective judge paralegal veterinarian vet zookeeper botanist geologist astronomer "
    "meteorologist archaeologist anthropologist sociologist linguist entrepreneur freelancer contractor technician "
    "machinist operator administrator coordinator recruiter marketer copywriter blogger streamer youtuber model "
    "tailor seamstress jeweler potter sculptor illustrator animator composer conductor violinist pianist guitarist "
    "drummer cellist midwife optician optometrist radiologist cardiologist dermatologist pediatrician paediatrician "
    "neurologist oncologist physiotherapist nutritionist dietitian counselor counsellor priest pastor rabbi imam nun "
    "monk diplomat politician senator mayor fisherman sailor captain butcher brewer winemaker sommelier ranger "
    "lifeguard courier postman mailman dispatcher surveyor inspector auditor actuary trader planner strategist "
    "specialist superintendent principal headteacher dean postdoc intern apprentice ceo cto cfo roofer mason tiler "
    "glazier bricklayer plasterer scaffolder locksmith watchmaker goldsmith blacksmith stuntman comedian magician dj "
    "bookkeeper realtor landscaper stockbroker underwriter webmaster sysadmin devops dba electrician's curator "
    "archivist conservator screenwriter novelist poet playwright biochemist pathologist anesthesiologist "
    "anaesthetist obstetrician gynecologist urologist orthodontist chiropractor osteopath acupuncturist masseur "
    "masseuse barrister solicitor agent guide worker attendant representative bodyguard bouncer croupier fishmonger "
    "greengrocer undertaker cobbler shepherd lumberjack beekeeper gamekeeper goldsmith glassblower bookbinder "
    "epidemiologist oncologist hematologist immunologist microbiologist geneticist ecologist zoologist oceanographer "
    "cartographer choreographer lexicographer stenographer videographer paramedic podiatrist audiologist phlebotomist "
    "radiographer sonographer hygienist toxicologist criminologist ombudsman councillor bailiff notary magistrate "
    "prosecutor stockist wholesaler shopkeeper innkeeper hotelier restaurateur caterer baker pastry confectioner "
    "upholsterer joiner decorator gasfitter rigger stonemason docker longshoreman porter concierge bellhop steward "
    "stewardess purser navigator dispatcher cabbie courier binman caretaker groundskeeper handyman arborist forester "
    "agronomist vintner jeweller silversmith puppeteer acrobat ventriloquist dramaturg stagehand roadie cameraman "
    "cinematographer newsreader presenter broadcaster columnist proofreader typesetter publicist lobbyist fundraiser "
    "auctioneer appraiser assessor adjuster estimator buyer merchandiser stylist milliner dressmaker nightwatchman"
)
NOT_JOB_MODIFIERS: Final = words(
    "good great bad better best terrible decent big huge avid amateur hobby hobbyist fast slow quick careful "
    "aspiring wannabe former ex retired would-be natural born home keen passionate beginner future perfect visual "
    "budding failed secret closet true real morning nervous confident lousy horrible happy proud strong team lazy "
    "hard tireless messy new first-time role heavy light deep control picky early late safe ex-"
)
TASTES: Final = _phrases(
    "the beach, the beaches, the ocean, the sea, the mountains, the outdoors, the rain, the snow, the sun, the "
    "sunshine, the city, the countryside, the cold, the heat, the desert, the forest, the woods, the winter, the "
    "summer, the dark, the spring, the autumn, the fall, the theatre, the theater, the opera, the gym, the beatles, "
    "the violin, the piano, the guitar, the cello"
)
"""What may be liked with an article and is still a taste, not a remark on something at hand."""
NOT_TASTES: Final = words(
    "number choice choices it lot lots much how way fact idea ideas suggestion suggestions sound look vibe vibes "
    "energy spirit attitude enthusiasm advice tip tips answer answers question questions help support chat chats "
    "conversation conversations talk post photo photos pic pics picture pictures message word words thought thoughts "
    "feeling feelings view name design color colors colour colours option options plan approach concept theme quote "
    "quotes response explanation being seeing hearing knowing having getting thinking talking chatting reading. "
    "working-with knowing seeing helping them moment moments time times day days part parts process result results "
    "part kids daughter son wife husband mom dad family friend friends mother father people person guy girl man "
    "woman bits bit kind sort dearly forward back more both recommendation recommendations title input feedback"
)
STUDY_STOPS: Final = words(
    "first second third fourth final last-year year years two three four hard abroad all together every a lot more "
    "less late early harder everyday daily tonight today tomorrow tests exam exams test finals midterms midterm quiz "
    "session sessions this that how what online remotely alone part-time full-time"
)
SCHOOL_WORDS: Final = words(
    "high grammar university college school institute academy tech polytechnic uni mit ucla nyu lse eth"
)

# --- health and food ------------------------------------------------------------------------------

CONDITIONS: Final = words(
    "asthma diabetes migraine migraines adhd add arthritis depression anxiety epilepsy eczema psoriasis hypertension "
    "insomnia anemia anaemia celiac coeliac hypothyroidism hyperthyroidism endometriosis pcos ibs crohn's crohns "
    "colitis ptsd ocd autism dyslexia scoliosis tinnitus fibromyalgia lupus cancer leukemia leukaemia glaucoma gout "
    "sciatica vertigo narcolepsy bipolar schizophrenia parkinson's alzheimer's dementia hepatitis hiv ms rosacea "
    "osteoporosis sleep-apnea apnea reflux gerd bronchitis copd angina arrhythmia tendonitis tendinitis cataracts "
    "alopecia vitiligo claustrophobia agoraphobia arachnophobia hay-fever sinusitis tonsillitis disorder syndrome "
    "disease"
)
HEALTH_ADJECTIVES: Final[Mapping[str, str]] = {
    "diabetic": "diabetes",
    "asthmatic": "asthma",
    "epileptic": "epilepsy",
    "autistic": "autism",
    "bipolar": "bipolar disorder",
    "dyslexic": "dyslexia",
    "anemic": "anemia",
    "colorblind": "color blindness",
    "colourblind": "colour blindness",
}
DRUGS: Final = words(
    "metformin insulin ibuprofen paracetamol acetaminophen aspirin tylenol advil lisinopril atorvastatin simvastatin "
    "levothyroxine amlodipine metoprolol omeprazole losartan gabapentin sertraline zoloft prozac fluoxetine lexapro "
    "escitalopram citalopram venlafaxine bupropion wellbutrin xanax alprazolam lorazepam diazepam valium adderall "
    "ritalin methylphenidate concerta vyvanse lithium lamotrigine quetiapine risperidone melatonin prednisone "
    "albuterol ventolin salbutamol warfarin xarelto apixaban eliquis statins antidepressants antihistamines zyrtec "
    "claritin cetirizine loratadine benadryl humira methotrexate hydroxychloroquine antibiotics amoxicillin "
    "penicillin doxycycline naproxen codeine tramadol oxycodone morphine ozempic semaglutide wegovy mounjaro "
    "tamoxifen finasteride spironolactone propranolol atenolol ramipril topiramate sumatriptan pantoprazole "
    "famotidine montelukast buspirone trazodone mirtazapine duloxetine paroxetine carvedilol clopidogrel rosuvastatin "
    "pravastatin hydrochlorothiazide furosemide tamsulosin allopurinol colchicine celecoxib diclofenac meloxicam "
    "azathioprine adalimumab liraglutide sitagliptin empagliflozin clonazepam aripiprazole olanzapine modafinil "
    "painkillers steroids beta-blockers inhaler thyroxine nexium symbicort advair singulair eltroxin synthroid"
)
DIETS: Final = words(
    "vegetarian vegan pescatarian pescetarian flexitarian kosher halal gluten-free dairy-free keto ketogenic paleo "
    "lactose-free plant-based low-carb carnivore raw-vegan"
)
MEATS: Final = words(
    "meat pork beef fish seafood dairy gluten eggs sugar chicken lamb shellfish poultry sweets carbs wheat"
)
INTOLERANCES: Final = words("lactose gluten fructose histamine dairy")

# --- things, tongues, wishes ----------------------------------------------------------------------

NOT_ALLERGENS: Final = words(
    "mornings mondays work drama stupidity bullshit nonsense math maths responsibility meetings effort exercise "
    "commitment politics people fun stupid bs lies bad liars ignorance spreadsheets paperwork cleaning chores sports "
    "running losing failure success money happiness love kindness boredom small housework adulting criticism change "
    "authority anything everything idiots fools morons jerks cheap negativity gossip"
)
"""What one says one is allergic to without being so."""
NOT_MEANT_LIKED: Final = words(
    "waiting paying being getting losing failing traffic mondays taxes meetings queues queuing waking working-weekends "
    "standing spam ads stubbing"
)
"""What "I love" is seldom meant of."""
DISEASES: Final = _phrases(
    "high blood pressure, low blood pressure, high cholesterol, bad back, bad knee, bad knees, chronic pain, back "
    "pain, chronic back pain, heart condition, heart disease, heart murmur, kidney stones, slipped disc, herniated "
    "disc, hearing loss, broken arm, broken leg, broken wrist, broken ankle, broken foot, sprained ankle, sprained "
    "wrist, torn acl, chronic fatigue, long covid, sleep apnea, hay fever, thyroid condition, thyroid problem, "
    "thyroid problems, bad hip, heart problem, heart problems, food poisoning, carpal tunnel, plantar fasciitis, "
    "acid reflux, color blindness, restless legs, dust mites, tennis elbow, pacemaker"
)
APPOINTMENTS: Final = words(
    "appointment interview surgery exam flight meeting operation checkup check-up recital audition rehearsal hearing "
    "wedding"
)
DWELLINGS: Final = words(
    "flat apartment house condo studio cottage cabin loft room bungalow townhouse suburb neighborhood neighbourhood "
    "part district outskirts center centre heart middle north south east west place area dorm"
)
FIELDS: Final = _phrases(
    "marketing, finance, it, hr, human resources, sales, construction, healthcare, education, tech, retail, "
    "hospitality, advertising, logistics, insurance, banking, publishing, law enforcement, real estate, customer "
    "service, customer support, software, software development, fashion, journalism, tourism, manufacturing, "
    "agriculture, research, cybersecurity, consulting, accounting, public relations, pr, biotech, social work, child "
    "care, childcare, film, television, radio, the film industry, information technology, data science, graphic "
    "design, web development"
)
NO_DOINGS: Final = words(
    "looking hoping thinking wondering trying struggling feeling expecting considering being getting-used kidding "
    "dying counting talking saying asking guessing assuming wanting needing having loving liking enjoying dreading "
    "debating leaning worrying freaking anything nothing something everything interesting exciting amazing boring "
    "willing missing coming joking saving doing using preparing waiting aiming searching researching brainstorming "
    "curious planning hearing checking noticing wearing becoming referring suffering lacking running-late freezing "
    "starving sleeping"
)
SUBJECTS: Final = words(
    "physics law biology nursing engineering chemistry mathematics math maths history philosophy psychology economics "
    "medicine architecture linguistics music art design business accounting finance sociology politics journalism "
    "literature english french german spanish geography geology astronomy pharmacy dentistry education statistics "
    "anthropology archaeology film theatre drama marketing robotics biochemistry computing informatics"
)
GOODS: Final = words(
    "home dryer vacuum microscope synth synthesizer harp accordion clarinet trombone harmonica banjo mandolin "
    "monitor earbuds airpods gopro moped tractor trailer pool sauna wardrobe bookshelf armchair recliner stove mixer "
    "blender lawnmower mower chainsaw lathe rug bracelet earrings handbag suit tuxedo machine fryer tub table car "
    "cars house apartment flat condo cottage cabin boat sailboat yacht motorcycle motorbike bike bicycle scooter "
    "truck van suv sedan minivan camper rv campervan piano guitar violin cello drums keyboard ukulele saxophone "
    "trumpet flute laptop computer pc macbook imac ipad iphone phone smartphone tablet camera telescope drone tv "
    "television console playstation xbox ps5 switch kayak canoe surfboard snowboard skis skateboard treadmill sofa "
    "couch desk bed mattress fridge refrigerator oven dishwasher printer smartwatch watch ring necklace farm land "
    "vineyard tent caravan tesla toyota honda ford bmw audi volvo mercedes prius civic corolla subaru mazda "
    "volkswagen vw jeep porsche ferrari harley vespa kindle e-bike ebike headset projector turntable bookstore "
    "studio restaurant cafe bakery shop greenhouse sewing-machine loom kiln grill smoker espresso-machine"
)
CAR_MAKES: Final = words(
    "fiat tesla toyota honda ford bmw audi volvo mercedes corolla civic prius golf polo passat subaru mazda "
    "volkswagen vw jeep "
    "porsche ferrari skoda seat opel peugeot renault citroen kia hyundai nissan lexus chevrolet chevy dacia mini"
)
LANGUAGES: Final = words(
    "english french german spanish italian portuguese dutch russian polish ukrainian czech slovak hungarian romanian "
    "bulgarian greek turkish arabic hebrew persian farsi hindi urdu bengali punjabi tamil telugu marathi gujarati "
    "chinese mandarin cantonese japanese korean vietnamese thai indonesian malay tagalog filipino swahili amharic "
    "yoruba igbo zulu afrikaans swedish norwegian danish finnish icelandic estonian latvian lithuanian irish welsh "
    "gaelic catalan basque galician serbian croatian bosnian slovene slovenian albanian armenian georgian mongolian "
    "nepali sinhala khmer lao burmese latin esperanto asl"
)
WISHES: Final = words(
    "answer reply respond use write give speak explain include keep address start end cite format ask mention remind "
    "tell show add avoid suggest recommend translate check provide begin refer treat assume talk say send quote "
    "convert list summarise summarize call put make finish double-check spell"
)
NOT_FAVOURITES: Final = words(
    "part parts thing things moment moment memory memories time one ones way bit aspect piece"
)

MONTHS: Final = {
    name: number
    for number, names in enumerate(
        [
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            ("september sep sept"),
            ("october oct"),
            ("november nov"),
            ("december dec"),
        ],
        1,
    )
    for name in names.split()
}
TENS: Final = dict(
    zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10), strict=True)
)
MONTH_NAMES: Final = tuple(
    name.capitalize() for name in MONTHS if len(name) > 4 or name in ("may", "june", "july") if name != ("sept")
)
NUMBERS: Final[Mapping[str, int]] = {
    word: number
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", ("eleven"), ("twelve")], 1
    )
}
GERUNDS: Final[Mapping[str, str]] = {
    "going": "go", "visiting": "visit", "flying": "fly", "moving": "move", "travelling": "travel",
    "traveling": "travel", "starting": "start", "running": "run", "getting": "get", "taking": "take", "seeing": "see",
    "meeting": "meet", "hosting": "host", "attending": "attend", "driving": "drive", "leaving": "leave",
    "performing": "perform", "competing": "compete", "joining": "join", "throwing": "throw", "giving": "give",
    "having": "have", "playing": "play", "heading": "head", "launching": "launch", "opening": "open",
    "buying": "buy", "speaking": "speak", "presenting": "present", "retiring": "retire", "marrying": "marry",
}  # fmt: skip
"""What people say they are doing at a date to come, and the verb a plan is written with."""

ANY_DEED: Final = words("finish attend")
"""Verbs that stand for any in what ends a deed: "the report is done" closes "send the report"."""
