"""ScienceWorld: experiments of elementary science in text, run by the package scienceworld on a Java machine."""
