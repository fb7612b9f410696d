from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TeamRequest(_message.Message):
    __slots__ = ("city",)
    CITY_FIELD_NUMBER: _ClassVar[int]
    city: str
    def __init__(self, city: _Optional[str] = ...) -> None: ...

class TeamResponse(_message.Message):
    __slots__ = ("city", "nickname")
    CITY_FIELD_NUMBER: _ClassVar[int]
    NICKNAME_FIELD_NUMBER: _ClassVar[int]
    city: str
    nickname: str
    def __init__(self, city: _Optional[str] = ..., nickname: _Optional[str] = ...) -> None: ...

class ListTeamsRequest(_message.Message):
    __slots__ = ("city_prefix",)
    CITY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    city_prefix: str
    def __init__(self, city_prefix: _Optional[str] = ...) -> None: ...

class GameResult(_message.Message):
    __slots__ = ("home_city", "away_city", "home_score", "away_score")
    HOME_CITY_FIELD_NUMBER: _ClassVar[int]
    AWAY_CITY_FIELD_NUMBER: _ClassVar[int]
    HOME_SCORE_FIELD_NUMBER: _ClassVar[int]
    AWAY_SCORE_FIELD_NUMBER: _ClassVar[int]
    home_city: str
    away_city: str
    home_score: int
    away_score: int
    def __init__(self, home_city: _Optional[str] = ..., away_city: _Optional[str] = ..., home_score: _Optional[int] = ..., away_score: _Optional[int] = ...) -> None: ...

class RejectedGame(_message.Message):
    __slots__ = ("position", "reason")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    position: int
    reason: str
    def __init__(self, position: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("city", "wins", "draws", "losses", "scored", "conceded")
    CITY_FIELD_NUMBER: _ClassVar[int]
    WINS_FIELD_NUMBER: _ClassVar[int]
    DRAWS_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    SCORED_FIELD_NUMBER: _ClassVar[int]
    CONCEDED_FIELD_NUMBER: _ClassVar[int]
    city: str
    wins: int
    draws: int
    losses: int
    scored: int
    conceded: int
    def __init__(self, city: _Optional[str] = ..., wins: _Optional[int] = ..., draws: _Optional[int] = ..., losses: _Optional[int] = ..., scored: _Optional[int] = ..., conceded: _Optional[int] = ...) -> None: ...

class SeasonSummary(_message.Message):
    __slots__ = ("accepted", "rejected", "rejections", "standings")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    rejected: int
    rejections: _containers.RepeatedCompositeFieldContainer[RejectedGame]
    standings: _containers.RepeatedCompositeFieldContainer[Standing]
    def __init__(self, accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., rejections: _Optional[_Iterable[_Union[RejectedGame, _Mapping]]] = ..., standings: _Optional[_Iterable[_Union[Standing, _Mapping]]] = ...) -> None: ...

class FollowRequest(_message.Message):
    __slots__ = ("action", "city")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[FollowRequest.Action]
        FOLLOW: _ClassVar[FollowRequest.Action]
        UNFOLLOW: _ClassVar[FollowRequest.Action]
    ACTION_UNSPECIFIED: FollowRequest.Action
    FOLLOW: FollowRequest.Action
    UNFOLLOW: FollowRequest.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    action: FollowRequest.Action
    city: str
    def __init__(self, action: _Optional[_Union[FollowRequest.Action, str]] = ..., city: _Optional[str] = ...) -> None: ...

class Following(_message.Message):
    __slots__ = ("cities", "problem")
    CITIES_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    cities: _containers.RepeatedScalarFieldContainer[str]
    problem: str
    def __init__(self, cities: _Optional[_Iterable[str]] = ..., problem: _Optional[str] = ...) -> None: ...

class ScoreUpdate(_message.Message):
    __slots__ = ("following", "game")
    FOLLOWING_FIELD_NUMBER: _ClassVar[int]
    GAME_FIELD_NUMBER: _ClassVar[int]
    following: Following
    game: GameResult
    def __init__(self, following: _Optional[_Union[Following, _Mapping]] = ..., game: _Optional[_Union[GameResult, _Mapping]] = ...) -> None: ...
