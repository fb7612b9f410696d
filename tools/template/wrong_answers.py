"""Wrong answers to the exercises of notebook NN."""

from tests.wrong_answers import spoilt

WRONG = {
    "NN.1": [
        (
            spoilt("NN.1", (".nickname", "")),
            "Expected 'Jackals', but got city: ",
        ),
        (
            spoilt("NN.1", ("(city=city)", "()")),
            "Expected 'Jackals', but got 'not a member'",
        ),
    ],
    "NN.2": [
        (
            spoilt("NN.2", ("for city in cities", "for city in sorted(cities, reverse=True)")),
            "Expected ['Revolutionaries', 'Jackals'], but got ['Jackals', 'Revolutionaries']",
        ),
        (
            spoilt("NN.2", (".nickname for", " for")),
            "Expected ['Revolutionaries', 'Jackals'], but got [city:",
        ),
    ],
    "NN.3": [
        (
            spoilt("NN.3", ("return response", "pass")),
            "It ended with INTERNAL: Failed to serialize response!",
        ),
        (
            spoilt("NN.3", ('f"the {response.nickname}"', '"the team"')),
            "Expected 'the Jackals', but got 'the team'",
        ),
    ],
}
