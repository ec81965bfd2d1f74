"""What can be said in the generated world: relations, how a document states them and how a question asks for them.

A relation is a function from one thing to another, such as from a book to its author. Stating it takes the subject's
pronoun, since the document's title says who is meant. Asking for it takes anything that stands for the subject: a
name, a pronoun, or a phrase for a thing that is known by another relation ("the town where Alda Carrow was born").
"""

from __future__ import annotations

from dataclasses import dataclass

PERSON, TOWN, PROVINCE, COMPANY, BOOK, SCHOOL = "person", "town", "province", "company", "book", "school"
KINDS = (PERSON, TOWN, PROVINCE, COMPANY, BOOK, SCHOOL)
"""What has documents of its own."""
RIVER, LANGUAGE, PEAK, YEAR = "river", "language", "peak", "year"
VALUES = (RIVER, LANGUAGE, PEAK, YEAR)
"""What is only named in documents."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation between two kinds of things.

    Attributes:
        name: Unique among the relations of a kind of subject.
        subject: Kind of the subject.
        object: Kind of the object, or of the value.
        statements: Sentences with {s} or {p} for the subject's pronoun (She, Her) and {o} for the object.
        noun: For "X's author" and "the author of X".
        clause: Where there is no noun: a phrase with {s} for the subject.
        question: A question with {s} for the subject; by default one that asks for the noun.
    """

    name: str
    subject: str
    object: str
    statements: tuple[str, ...]
    noun: str = ""
    clause: str = ""
    question: str = ""

    def phrase(self, subject: Mention) -> Mention:
        """Return what stands for the object, given what stands for the subject."""
        if not self.noun:
            return Mention(self.clause.format(s=subject.text))
        return Mention(f"{subject.owner} {self.noun}" if subject.owner else f"the {self.noun} of {subject.text}")

    def ask(self, subject: Mention) -> str:
        """Return the question for the object, given what stands for the subject."""
        if self.question:
            return self.question.format(s=subject.text)
        return f"{'Who' if self.object == PERSON else 'What'} is {self.phrase(subject).text}?"


@dataclass(frozen=True, slots=True)
class Mention:
    """What stands for a thing in a question, and in front of what it owns; phrases don't stand there."""

    text: str
    owner: str = ""


def named(name: str) -> Mention:
    """Return the mention of a name."""
    return Mention(name, f"{name}'s")


PRONOUNS = {"she": Mention("she", "her"), "he": Mention("he", "his"), "it": Mention("it", "its")}

RELATIONS = (
    Relation(
        "birthplace",
        PERSON,
        TOWN,
        ("{s} was born in {o}.", "{p} birthplace is {o}."),
        clause="the town where {s} was born",
        question="In which town was {s} born?",
    ),
    Relation(
        "employer",
        PERSON,
        COMPANY,
        ("{s} works for {o}.", "{s} is employed by {o}."),
        clause="the company that {s} works for",
        question="Which company does {s} work for?",
    ),
    Relation(
        "school",
        PERSON,
        SCHOOL,
        ("{s} studied at {o}.", "{s} was educated at {o}."),
        clause="the school that {s} attended",
        question="Which school did {s} attend?",
    ),
    Relation("teacher", PERSON, PERSON, ("{s} learned the trade from {o}.", "{p} teacher was {o}."), noun="teacher"),
    Relation(
        "language",
        PERSON,
        LANGUAGE,
        ("{s} grew up speaking {o}.", "{p} mother tongue is {o}."),
        question="Which language did {s} grow up with?",
    ),
    Relation(
        "province",
        TOWN,
        PROVINCE,
        ("{s} lies in {o}.", "{s} belongs to {o}."),
        clause="the province in which {s} lies",
        question="In which province does {s} lie?",
    ),
    Relation("mayor", TOWN, PERSON, ("{p} mayor is {o}.", "{s} is governed by {o}, the mayor."), noun="mayor"),
    Relation(
        "river",
        TOWN,
        RIVER,
        ("{s} stands on the {o}.", "The market square looks out on the {o}."),
        question="On which river does {s} stand?",
    ),
    Relation("governor", PROVINCE, PERSON, ("{p} governor is {o}.", "{s} is ruled by {o}."), noun="governor"),
    Relation("capital", PROVINCE, TOWN, ("{p} capital is {o}.", "{s} is administered from {o}."), noun="capital"),
    Relation(
        "peak",
        PROVINCE,
        PEAK,
        ("{p} highest mountain is {o}.", "No mountain there is higher than {o}."),
        noun="highest mountain",
    ),
    Relation("founder", COMPANY, PERSON, ("{s} was founded by {o}.", "{p} founder was {o}."), noun="founder"),
    Relation(
        "seat",
        COMPANY,
        TOWN,
        ("{s} is based in {o}.", "{p} headquarters are in {o}."),
        clause="the town where {s} is based",
        question="In which town is {s} based?",
    ),
    Relation(
        "founded",
        COMPANY,
        YEAR,
        ("{s} opened for business in {o}.", "{s} dates from {o}."),
        question="In which year did {s} open for business?",
    ),
    Relation("author", BOOK, PERSON, ("{s} was written by {o}.", "{p} author is {o}."), noun="author"),
    Relation(
        "setting",
        BOOK,
        TOWN,
        ("{s} is set in {o}.", "{p} story takes place in {o}."),
        clause="the town in which {s} is set",
        question="In which town is {s} set?",
    ),
    Relation(
        "printed",
        BOOK,
        YEAR,
        ("{s} appeared in {o}.", "{s} was printed in {o}."),
        question="In which year did {s} appear?",
    ),
    Relation("head", SCHOOL, PERSON, ("{p} head is {o}.", "{s} is led by {o}."), noun="head"),
    Relation(
        "site",
        SCHOOL,
        TOWN,
        ("{s} stands in {o}.", "{s} is a landmark of {o}."),
        clause="the town where {s} stands",
        question="In which town does {s} stand?",
    ),
    Relation(
        "opened",
        SCHOOL,
        YEAR,
        ("{s} took in pupils from {o} on.", "{s} was opened in {o}."),
        question="In which year was {s} opened?",
    ),
)

BY_SUBJECT = {kind: tuple(relation for relation in RELATIONS if relation.subject == kind) for kind in KINDS}
