"""Five keys, one chain: each question goes to the model that is worth its price, with what is publicly known of them.

Runs offline: stand-ins answer in the models' names, while the router, its network and the catalogue are the real ones.
With keys in your environment, give the list of names alone - RunnableRouter.from_models(MODELS, policy=...) - and
LangChain's init_chat_model opens them; the rest stays as it is.
"""

from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate

from langchain_cit import RunnableRouter

MODELS = [
    "openai:gpt-5-mini",
    "anthropic:claude-sonnet-4-5",
    "google_genai:gemini-3-pro-preview",
    "deepseek:deepseek-v3.2",
    "mistralai:mistral-small-latest",
]
QUESTIONS = [
    "What is the capital of Australia?",
    "Write a haiku about autumn.",
    "Is there a contract at common law if an offer was revoked by e-mail before the posted acceptance arrived?",
    "Compute the integral of x^2 e^{-x^3} from 0 to infinity and justify each step.",
]


def main() -> None:
    stand_ins = {name: FakeListChatModel(responses=[f"({name} answers)"]) for name in MODELS}
    routed = RunnableRouter.from_models(stand_ins, policy="cost:0.05")  # a correct answer is worth five cents
    chain = ChatPromptTemplate.from_template("{question}") | routed | StrOutputParser()
    spent = always_best = 0.0
    for question in QUESTIONS:
        decision = routed.router.route(question)
        best = max(decision.ranking, key=lambda ranked: ranked.probability)
        spent += decision.expected_cost_usd or 0.0
        always_best += best.expected_cost_usd or 0.0
        print(f"{question}\n-> {chain.invoke({'question': question})} {decision.probability:.0%} likely to be right")
    print(f"${spent:.5f} in all, and ${always_best:.5f} with always the model most likely to be right")
    for name, basis in routed.router.basis.items():
        print(f"{name}: {basis.basis}, {basis.because}")


if __name__ == "__main__":
    main()
