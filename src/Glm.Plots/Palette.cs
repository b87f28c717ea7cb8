namespace Glm.Plots;

/// <summary>
/// The colours of series, on white and on the dark page: each at least 3:1 against its background (WCAG 1.4.11) and told apart by people who see
/// no red or no green, which a test computes. From the fifth series on, lines are dashed besides.
/// </summary>
internal static class Palette
{
    public const string LightBackground = "#ffffff", DarkBackground = "#15181c";

    public static readonly string[] Light = ["#0066b5", "#de480a", "#0d8f67", "#a33b80", "#8c821c", "#4a4f57", "#5a94dc", "#7d4a1f"];

    public static readonly string[] Dark = ["#4ea5f3", "#ff8a3d", "#35c795", "#e591ca", "#f1cf5b", "#c4c9d1", "#9ad0ff", "#c08a58"];

    private static readonly string[] Dashes = ["none", "none", "none", "none", "7 3", "2 3", "8 3 2 3", "4 2"];

    /// <summary>The slot of a series: its own, or its place in the plot.</summary>
    public static int Slot(int? own, int place) => (own ?? place) % Light.Length;

    /// <summary>Rules that every plot needs, for light and dark.</summary>
    public static string Style { get; } =
        $":root{{{Variables(Light)}--ink:#1c2024;--soft:#5b636d;--rule:#d5dae0;--back:{LightBackground};--panel:#f5f7f9}}"
        + $"@media (prefers-color-scheme:dark){{:root{{{Variables(Dark)}--ink:#e8eaed;--soft:#a3abb5;--rule:#3a4048;--back:{DarkBackground};--panel:#1e2227}}}}"
        + $"@media print{{:root{{{Variables(Light)}--ink:#000;--soft:#444;--rule:#bbb;--back:#fff;--panel:#fff}}}}"
        + ".plot text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;fill:var(--ink)}"
        + ".plot .title{font-size:15px;font-weight:600}.plot .soft{fill:var(--soft)}.plot .small{font-size:12px}"
        + ".plot .grid{stroke:var(--rule);stroke-width:1}.plot .axis{stroke:var(--soft);stroke-width:1}.plot .error{stroke:var(--ink);stroke-width:1.25}"
        + ".plot .line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}.plot .faint{opacity:.35;stroke-width:1}.plot .dots{stroke-width:8}"
        + ".plot .mark{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:3 3}"
        + string.Concat(Enumerable.Range(0, Light.Length).Select(i => $".plot .f{i}{{fill:var(--c{i})}}.plot .l{i}{{stroke:var(--c{i});stroke-dasharray:{Dashes[i]}}}"));

    private static string Variables(string[] colours) => string.Concat(colours.Select((colour, i) => $"--c{i}:{colour};"));
}
