"""Neutral prompts: what a picture's nearness to some words is measured against.

They name everyday things, places, doings and moods from all over, so that for any one picture
nearly all of them are wrong: how near it is to them is how near it is to words by chance.
"""

PROMPTS = tuple(
    prompt.strip()
    for prompt in """
    a kettle; a bicycle; a lighthouse; a violin; a wheelbarrow; an umbrella; a chessboard; a ladder
    a teapot on a stove; a row of lockers; a pile of bricks; an empty corridor; a broken window
    a bowl of soup; a loaf of bread; a slice of melon; a cup of coffee; a plate of noodles; onions
    a goldfish; a heron; a beetle on a leaf; a herd of goats; a sleeping cat; a donkey; an octopus
    a pine forest; a waterfall; a desert at noon; a frozen lake; a rocky coast; a field of wheat
    a harbour with cranes; a narrow street; a railway platform; a car park; a suspension bridge
    a market stall; a library; a barber's shop; a kitchen; an operating theatre; a greenhouse
    a child on a swing; an old man reading; two people dancing; a crowd at a concert; a chef
    a woman with a red scarf; a football match; someone swimming; a cyclist in the rain; a wedding
    a printed receipt; a page of handwriting; a street sign; a road map; a bar chart; a calendar
    a screenshot of a program; a logo; a pencil sketch; an oil painting; a cartoon; a wood carving
    a marble statue; a stained glass window; a carpet with a pattern; a mosaic floor; graffiti
    a rocket; a sailing boat; a tractor; a tram; a helicopter; a truck on a motorway; a canoe
    a telephone; a circuit board; a microscope; a washing machine; a pair of headphones; a camera
    a wrist watch; a leather shoe; a wool sweater; a straw hat; a necklace; a suitcase; a mirror
    a tulip; a cactus in a pot; moss on a stone; a mushroom; autumn leaves; an orange tree
    fog over hills; lightning at night; a rainbow; a sunset; snow on a roof; stars; a puddle
    a castle; a tent; a skyscraper; a barn; a temple; a wooden fence; a staircase; a fountain
    something blue; something very small; something seen from above; a blurred picture; darkness
    a black and white photograph; a close-up of skin; an X-ray; a satellite image; a texture
    loneliness; speed; a festival; silence; hard work; a celebration; waiting; play; heat
    """.replace("\n", ";").split(";")
    if prompt.strip()
)
