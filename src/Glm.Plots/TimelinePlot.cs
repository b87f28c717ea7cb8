namespace Glm.Plots;

/// <summary>A stretch of time in a row of a <see cref="TimelinePlot"/>.</summary>
/// <param name="Row">Its row, from 0.</param>
/// <param name="Start">When it begins.</param>
/// <param name="End">When it ends.</param>
/// <param name="Slot">Its colour, 0 to 7, as in <see cref="TimelinePlot.Kinds"/>.</param>
/// <param name="Label">What it is, in a letter or number; shown where there is room.</param>
public readonly record struct TimelineBlock(int Row, double Start, double End, int Slot, string Label);

/// <summary>Who does what when: rows of coloured stretches over a common time axis.</summary>
public sealed record TimelinePlot : Plot
{
    private const double RowHeight = 22;

    /// <summary>The time axis.</summary>
    public Axis Time { get; init; } = new();

    /// <summary>Names of the rows.</summary>
    public required IReadOnlyList<string> Rows { get; init; }

    /// <summary>What the colours mean, in the order of their slots.</summary>
    public required IReadOnlyList<string> Kinds { get; init; }

    /// <summary>What is drawn.</summary>
    public required IReadOnlyList<TimelineBlock> Blocks { get; init; }

    internal override void Draw(MarkupWriter svg, double width, bool standalone)
    {
        var legend = new MarkupWriter();
        double top = Legend(legend, [.. Kinds.Select((kind, i) => (kind, Palette.Slot(null, i), false))], width, TitleHeight(width)) + 6;
        double left = Rows.Select(TextSize.Width).DefaultIfEmpty(0).Max() + 16, right = width - 16, bottom = top + Rows.Count * RowHeight;
        var (low, high) = Time.Range(Blocks.SelectMany(block => new[] { block.Start, block.End }), 0);
        var x = new Scale(low, high, false, left, right);
        double total = bottom + (Time.Title.Length > 0 ? 44 : 26);
        Begin(svg, width, total, standalone);
        svg.Raw(legend.ToString());
        for (int row = 0; row < Rows.Count; row++)
            svg.Element("text", Rows[row], ("x", left - 8), ("y", top + (row + 0.5) * RowHeight + 4.5), ("text-anchor", "end"));
        foreach (var block in Blocks)
        {
            double start = x[block.Start], length = Math.Max(x[block.End] - start, 0.25), y = top + block.Row * RowHeight;
            // A hair of background between neighbours, where they are wide enough to spare it.
            svg.Open("g").Element("title", $"{Rows[block.Row]}, {Kinds[block.Slot]} {block.Label}");
            svg.Empty("rect", ("class", $"f{block.Slot}"), ("x", start), ("y", y + 2), ("width", length > 3 ? length - 0.75 : length), ("height", RowHeight - 4));
            if (TextSize.Width(block.Label) + 2 < length)
                svg.Element("text", block.Label, ("class", "small"), ("style", "fill:var(--back)"), ("x", start + length / 2), ("y", y + RowHeight / 2 + 4), ("text-anchor", "middle"));
            svg.Close();
        }
        foreach (var tick in Ticks.Between(low, high, false, width > Narrow ? 8 : 4))
        {
            svg.Empty("line", ("class", "axis"), ("x1", x[tick.Value]), ("x2", x[tick.Value]), ("y1", bottom), ("y2", bottom + 4));
            svg.Element("text", tick.Label, ("class", "soft"), ("x", x[tick.Value]), ("y", bottom + 18), ("text-anchor", "middle"));
        }
        svg.Empty("line", ("class", "axis"), ("x1", left), ("x2", right), ("y1", bottom), ("y2", bottom));
        if (Time.Title.Length > 0) svg.Element("text", Time.Title, ("class", "soft"), ("x", right), ("y", total - 8), ("text-anchor", "end"));
        svg.Close();
    }
}
