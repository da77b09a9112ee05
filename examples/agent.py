"""Ask, stream, and let the model call a function of yours: python examples/agent.py [MODEL]"""

import sys

from trivium import Agent, tool


@tool(effect="read")  # it changes nothing, so a call needs nobody's leave
def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


with Agent(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m", tools=[count_words]) as agent:
    print(agent.ask("Name a river in France.").content)
    for event in agent.stream("How many words has 'to be or not to be'?"):
        print(getattr(event, "text", ""), end="", flush=True)
