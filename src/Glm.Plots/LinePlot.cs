using System.Text;
using System.Text.Json;

namespace Glm.Plots;

/// <summary>One line.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="X">Where, ascending.</param>
/// <param name="Y">Values there; one that is not finite (or not positive on a logarithmic axis) breaks the line.</param>
public sealed record LineSeries(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y)
{
    /// <summary>Colour, 0 to 7; null for the place in the plot.</summary>
    public int? Slot { get; init; }

    /// <summary>Drawn thin and pale and not named, as raw values behind a smoothed line are.</summary>
    public bool Faint { get; init; }

    /// <summary>Drawn as dots that no line joins.</summary>
    public bool Dots { get; init; }
}

/// <summary>Lines over a common axis. In a page, values are shown under the pointer, and a drag zooms.</summary>
public sealed record LinePlot : Plot
{
    // Zooming may need longer labels than the whole does.
    private const double Height = 300, LabelRoom = 48;
    private const int MostPoints = 4000;

    /// <summary>The horizontal axis.</summary>
    public Axis X { get; init; } = new();

    /// <summary>The vertical axis.</summary>
    public Axis Y { get; init; } = new();

    /// <summary>The lines.</summary>
    public required IReadOnlyList<LineSeries> Series { get; init; }

    /// <inheritdoc/>
    internal override string? Data => JsonSerializer.Serialize(new
    {
        x = new { title = X.Title, log = X.Logarithmic, range = RangeX() },
        y = new { title = Y.Title, log = Y.Logarithmic, range = RangeY() },
        series = Series.Select((series, i) =>
        {
            var points = Thinned(series, MostPoints).ToArray();
            return new { name = series.Name, slot = Palette.Slot(series.Slot, i), faint = series.Faint, dots = series.Dots, x = points.Select(p => p.X), y = points.Select(p => double.IsFinite(p.Y) ? p.Y : (double?)null) };
        }),
    });

    internal override void Draw(MarkupWriter svg, double width, bool standalone)
    {
        var named = Series.Select((series, i) => (series.Name, Slot: Palette.Slot(series.Slot, i), Line: !series.Dots, series.Faint)).Where(entry => !entry.Faint);
        var legend = new MarkupWriter();
        double top = Legend(legend, [.. named.Select(entry => (entry.Name, entry.Slot, entry.Line))], width, TitleHeight(width)) + (Y.Title.Length > 0 ? LineHeight : 6);
        var (lowX, highX) = Bounds(RangeX());
        var (lowY, highY) = Bounds(RangeY());
        var ticksY = Ticks.Between(lowY, highY, Y.Logarithmic, 6);
        double left = Math.Max(LabelRoom, ticksY.Select(tick => TextSize.Width(tick.Label)).DefaultIfEmpty(0).Max() + 14);
        double right = width - 16, bottom = top + (width > Narrow ? Height : Height * 0.8), total = bottom + (X.Title.Length > 0 ? 44 : 26);
        var x = new Scale(lowX, highX, X.Logarithmic, left, right);
        var y = new Scale(lowY, highY, Y.Logarithmic, bottom, top);

        Begin(svg, width, total, standalone, ("data-area", string.Join(' ', new[] { left, top, right, bottom }.Select(MarkupWriter.Number))));
        svg.Raw(legend.ToString());
        if (Y.Title.Length > 0) svg.Element("text", Y.Title, ("class", "soft"), ("x", 8), ("y", top - 8));
        if (X.Title.Length > 0) svg.Element("text", X.Title, ("class", "soft"), ("x", right), ("y", total - 8), ("text-anchor", "end"));
        svg.Open("g", ("class", "ticks"));
        foreach (var tick in ticksY)
        {
            svg.Empty("line", ("class", "grid"), ("x1", left), ("x2", right), ("y1", y[tick.Value]), ("y2", y[tick.Value]));
            svg.Element("text", tick.Label, ("class", "soft"), ("x", left - 6), ("y", y[tick.Value] + 4.5), ("text-anchor", "end"));
        }
        foreach (var tick in Ticks.Between(lowX, highX, X.Logarithmic, width > Narrow ? 8 : 4))
        {
            svg.Empty("line", ("class", "axis"), ("x1", x[tick.Value]), ("x2", x[tick.Value]), ("y1", bottom), ("y2", bottom + 4));
            svg.Element("text", tick.Label, ("class", "soft"), ("x", x[tick.Value]), ("y", bottom + 18), ("text-anchor", "middle"));
        }
        svg.Empty("line", ("class", "axis"), ("x1", left), ("x2", right), ("y1", bottom), ("y2", bottom)).Close();
        svg.Open("g", ("class", "lines"));
        for (int i = 0; i < Series.Count; i++)
            svg.Empty("path", ("class", $"line l{Palette.Slot(Series[i].Slot, i)}{(Series[i].Faint ? " faint" : "")}{(Series[i].Dots ? " dots" : "")}"), ("d", Path(Series[i], x, y, (int)width)));
        svg.Close().Close();
    }

    private static (double Low, double High) Bounds(double[] range) => (range[0], range[1]);

    private double[] RangeX()
    {
        var (low, high) = X.Range(Series.SelectMany(series => series.X), 0);
        return [low, high];
    }

    private double[] RangeY()
    {
        var (low, high) = Y.Range(Series.SelectMany(series => series.Y.Where((_, i) => i < series.X.Count && InRange(series.X[i]))), 0.05);
        return [low, high];
    }

    private bool InRange(double x) => !(x < X.Minimum) && !(x > X.Maximum);

    private string Path(LineSeries series, Scale x, Scale y, int columns)
    {
        var path = new StringBuilder();
        bool drawing = false;
        double lowest = Math.Min(y.Start, y.End), highest = Math.Max(y.Start, y.End);
        foreach (var (px, py) in Thinned(series, columns * 2))
        {
            if (!X.Shows(px) || !Y.Shows(py) || px < x.Low || px > x.High)
            {
                drawing = false;
                continue;
            }
            path.Append(drawing ? 'L' : 'M').Append(MarkupWriter.Number(x[px])).Append(' ').Append(MarkupWriter.Number(Math.Clamp(y[py], lowest, highest)));
            if (!drawing) path.Append("h0"); // a single point is a dot
            drawing = !series.Dots;
        }
        return path.ToString();
    }

    /// <summary>Few enough points for a screen: of every stretch the first, lowest, highest and last, so that no spike is lost.</summary>
    private static IEnumerable<(double X, double Y)> Thinned(LineSeries series, int most)
    {
        int count = Math.Min(series.X.Count, series.Y.Count);
        int stretch = Math.Max(1, (int)Math.Ceiling(4.0 * count / most));
        for (int start = 0; start < count; start += stretch)
        {
            int end = Math.Min(start + stretch, count), low = start, high = start;
            if (stretch <= 4)
            {
                for (int i = start; i < end; i++) yield return (series.X[i], series.Y[i]);
                continue;
            }
            bool whole = true;
            for (int i = start; i < end; i++)
            {
                whole &= double.IsFinite(series.Y[i]);
                if (!(series.Y[i] >= series.Y[low])) low = i;
                if (!(series.Y[i] <= series.Y[high])) high = i;
            }
            int[] kept = whole ? [start, Math.Min(low, high), Math.Max(low, high), end - 1] : [.. Enumerable.Range(start, end - start)];
            int last = -1;
            foreach (int i in kept)
            {
                if (i == last) continue;
                yield return (series.X[i], series.Y[i]);
                last = i;
            }
        }
    }
}
