"""The two looks of the chat: ink and amber at night, paper and deep teal by day."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="edgeai-dark",
    dark=True,
    primary="#5fb3a1",
    secondary="#8aa9c9",
    accent="#e8b15a",
    foreground="#dcd7cc",
    background="#15171a",
    surface="#1c1f23",
    panel="#24282d",
    boost="#20242a",
    success="#8fbf6f",
    warning="#e6a23c",
    error="#e0705f",
    variables={
        "block-cursor-background": "#e8b15a",
        "block-cursor-foreground": "#15171a",
        "footer-background": "#15171a",
        "footer-key-foreground": "#e8b15a",
        "input-selection-background": "#5fb3a1 35%",
        "scrollbar": "#3a4047",
        "scrollbar-hover": "#505860",
        "scrollbar-active": "#e8b15a",
        "scrollbar-background": "#15171a",
        "scrollbar-background-hover": "#15171a",
        "scrollbar-background-active": "#15171a",
    },
)

LIGHT = Theme(
    name="edgeai-light",
    dark=False,
    primary="#0f6b5f",
    secondary="#3c5f86",
    accent="#9a5b00",
    foreground="#26282b",
    background="#faf7f0",
    surface="#f3eee3",
    panel="#e9e2d3",
    boost="#f0eadd",
    success="#3f6d24",
    warning="#945200",
    error="#b3372a",
    variables={
        "block-cursor-background": "#0f6b5f",
        "block-cursor-foreground": "#faf7f0",
        "footer-background": "#faf7f0",
        "footer-key-foreground": "#9a5b00",
        "input-selection-background": "#0f6b5f 25%",
        "scrollbar": "#cfc6b3",
        "scrollbar-hover": "#b5ab96",
        "scrollbar-active": "#9a5b00",
        "scrollbar-background": "#faf7f0",
        "scrollbar-background-hover": "#faf7f0",
        "scrollbar-background-active": "#faf7f0",
    },
)
