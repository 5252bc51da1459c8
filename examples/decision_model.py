"""A LangChain decision model that says which of two models a question should go to, with calibrated probabilities.

Decision models are beta in langchain-core 1.8; with an older one this example says so. Runs offline: it calls no LLM.
"""

from importlib.metadata import version

from cit_core import Router

MODELS = {"fast": "openai:gpt-5-nano", "powerful": "google_genai:gemini-3-pro-preview"}
QUESTIONS = ["What is 17 times 23?", "Compute the integral of x^2 e^{-x^3} from 0 to infinity and justify each step."]


def main() -> None:
    router = Router.from_models(MODELS.values(), policy="threshold:0.8")
    try:
        from langchain_core.decisions import Choice
    except ImportError:
        print(f"langchain-core {version('langchain-core')} has no decision models; the router itself decides:")
        for question in QUESTIONS:
            print(question, "->", router.route(question).model)
        return
    from langchain_cit.decisions import CITDecisionModel

    decider = CITDecisionModel(router, labels=MODELS)
    choice = Choice(instructions="Which model answers this?", criteria=dict.fromkeys(MODELS))
    for question in QUESTIONS:
        answer = decider.invoke({"state": question, "questions": {"route": choice}}).choices["route"]
        print(f"{question} -> {answer.choice} ({answer.confidence:.0%} likely to be right)")


if __name__ == "__main__":
    main()
