"""Wrong answers to the exercise of notebook 00."""

WRONG = {
    "00.1": [
        ('nickname = stub.GetTeam(teams_pb2.TeamRequest(city="Minneapolis"), timeout=5)', "Hand in the nickname alone"),
        ('nickname = stub.GetTeam(teams_pb2.TeamRequest(city="minneapolis"), timeout=5).nickname', "with a capital M"),
        ("nickname = response.nickname", "The Revolutionaries play in Boston"),
        ('nickname = "Lakers"', "another nickname for Minneapolis than 'Lakers'"),
    ]
}
