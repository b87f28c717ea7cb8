namespace Glm.Plots;

/// <summary>A picture of numbers, drawn as SVG: as a file of its own, or in a page (<see cref="HtmlPage"/>).</summary>
public abstract record Plot
{
    /// <summary>Width on a screen or sheet, and on a phone.</summary>
    internal const int Wide = 760, Narrow = 380;

    private protected const double LineHeight = 18;

    private const double TitleScale = 1.25; // of the widths that are known for 13 pixels

    /// <summary>What it shows.</summary>
    public required string Title { get; init; }

    /// <summary>What a listener should learn from it, in a sentence or two.</summary>
    public string Description { get; init; } = "";

    /// <summary>A file of its own: white or dark as the viewer asks for.</summary>
    public string ToSvg()
    {
        var svg = new MarkupWriter();
        Draw(svg, Wide, standalone: true);
        return svg.Line().ToString();
    }

    /// <summary>Draws it.</summary>
    /// <param name="svg">Takes one <c>svg</c> element.</param>
    /// <param name="width">In pixels; the height follows from the content.</param>
    /// <param name="standalone">Whether styles must come along.</param>
    internal abstract void Draw(MarkupWriter svg, double width, bool standalone);

    /// <summary>What a script needs to show values and zoom; null if the picture has none.</summary>
    internal virtual string? Data => null;

    private protected void Begin(MarkupWriter svg, double width, double height, bool standalone, params ReadOnlySpan<(string Name, object? Value)> more)
    {
        svg.Open("svg",
        [
            ("xmlns", standalone ? "http://www.w3.org/2000/svg" : null), ("class", standalone ? "plot" : width > Narrow ? "plot wide" : "plot narrow"),
            ("viewBox", $"0 0 {MarkupWriter.Number(width)} {MarkupWriter.Number(height)}"), ("width", standalone ? width : null), ("height", standalone ? height : null),
            ("role", "img"), ("aria-label", Description.Length > 0 ? $"{Title}. {Description}" : Title), .. more,
        ]);
        if (standalone) svg.Open("style").Raw(Palette.Style).Close().Empty("rect", ("width", width), ("height", height), ("style", "fill:var(--back)"));
        double y = 18;
        foreach (string line in TitleLines(width))
        {
            svg.Element("text", line, ("class", "title"), ("x", 8), ("y", y));
            y += LineHeight;
        }
    }

    /// <summary>Room that the title takes.</summary>
    private protected double TitleHeight(double width) => 8 + (TitleLines(width).Count * LineHeight);

    private IReadOnlyList<string> TitleLines(double width) => TextSize.Lines(Title, (width - 16) / TitleScale);

    /// <summary>Names of series with their colours, in as many rows as they need.</summary>
    /// <returns>Where the next thing goes.</returns>
    private protected static double Legend(MarkupWriter svg, IReadOnlyList<(string Name, int Slot, bool Line)> entries, double width, double top)
    {
        if (entries.Count < 2) return top;
        double x = 8;
        foreach (var (name, slot, line) in entries)
        {
            double needed = TextSize.Width(name) + 34;
            if (x > 8 && x + needed > width) (x, top) = (8, top + LineHeight);
            if (line) svg.Empty("path", ("class", $"line l{slot}"), ("d", $"M{MarkupWriter.Number(x)} {MarkupWriter.Number(top + 9)}h18"));
            else svg.Empty("rect", ("class", $"f{slot}"), ("x", x + 3), ("y", top + 3), ("width", 12), ("height", 12), ("rx", 2));
            svg.Element("text", name, ("x", x + 23), ("y", top + 13.5));
            x += needed;
        }
        return top + LineHeight + 4;
    }
}
