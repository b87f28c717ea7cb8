using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Glm.Plots.Tests;

public sealed partial class PlotTests
{
    private const string Hostile = "</title><script>alert('1')</script> & \" \u0001 \ud800";
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Fact]
    public void Lines_keep_to_the_axes()
    {
        var plot = new LinePlot
        {
            Title = "Loss",
            X = new Axis("step"),
            Y = new Axis("nats") { Logarithmic = true },
            Series = [new LineSeries("a", [0, 1, 2, 3], [10, 1, double.NaN, 100]), new LineSeries("b", [0, 3], [1, 100])],
        };
        var svg = XElement.Parse(plot.ToSvg());
        double[] area = [.. svg.Attribute("data-area")!.Value.Split(' ').Select(Number)];
        string[] paths = [.. svg.Descendants(Svg + "path").Where(path => path.Parent!.Attribute("class")?.Value == "lines").Select(path => path.Attribute("d")!.Value)];
        Assert.Equal(2, paths.Length);
        Assert.Equal(2, paths[0].Count(c => c == 'M')); // broken at what is no number
        var b = Points(paths[1]);
        Assert.Equal(area[0], b[0].X, 0.01);
        Assert.Equal(area[2], b[1].X, 0.01);
        Assert.InRange(b[0].Y, area[1], area[3]);
        Assert.True(b[0].Y > b[1].Y); // greater values are higher up
        var a = Points(paths[0]);
        Assert.Equal((b[0].Y + b[1].Y) / 2, a[0].Y, 0.02); // 10 is halfway from 1 to 100
    }

    [Fact]
    public void Dots_are_not_joined()
    {
        var plot = new LinePlot { Title = "Runs", Series = [new LineSeries("a", [0, 1, 2], [3, 1, 2]) { Dots = true }] };
        string path = XElement.Parse(plot.ToSvg()).Descendants(Svg + "path").Single(path => path.Parent!.Attribute("class")?.Value == "lines").Attribute("d")!.Value;
        Assert.Equal((3, 0), (path.Count(c => c == 'M'), path.Count(c => c == 'L')));
    }

    [Fact]
    public void No_spike_is_lost_when_points_are_thinned()
    {
        double[] x = [.. Enumerable.Range(0, 200_000).Select(i => (double)i)], y = new double[x.Length];
        y[123_457] = 50;
        y[77] = -50;
        var plot = new LinePlot { Title = "Spikes", Series = [new LineSeries("a", x, y)] };
        string svg = plot.ToSvg();
        Assert.True(svg.Length < 100_000, $"{svg.Length} characters");
        var points = Points(XElement.Parse(svg).Descendants(Svg + "path").Single(path => path.Parent!.Attribute("class")?.Value == "lines").Attribute("d")!.Value);
        double level = points[^1].Y;
        Assert.Contains(points, point => point.Y < level - 50);
        Assert.Contains(points, point => point.Y > level + 50);
        Assert.Contains("-50", plot.Data!, StringComparison.Ordinal);
    }

    [Fact]
    public void Bars_are_as_long_as_their_values()
    {
        var plot = new BarPlot
        {
            Title = "Accuracy",
            Categories = ["x", "y"],
            Series = [new BarSeries("ours", [10.0, new Bar(-20, -30, -10)]), new BarSeries("theirs", [40.0, null])],
            Marks = [25.0, null],
            MarkName = "chance",
        };
        var bars = XElement.Parse(plot.ToSvg()).Descendants(Svg + "g").Where(g => g.Element(Svg + "title") is not null)
            .ToDictionary(g => g.Element(Svg + "title")!.Value, g => Number(g.Element(Svg + "rect")!.Attribute("width")!.Value));
        Assert.Equal(["x, ours: 10.0", "x, theirs: 40.0", "y, ours: −20.0 (−30.0 to −10.0)"], bars.Keys.Order());
        Assert.Equal(4, bars["x, theirs: 40.0"] / bars["x, ours: 10.0"], 0.01);
        Assert.Equal(2, bars["y, ours: −20.0 (−30.0 to −10.0)"] / bars["x, ours: 10.0"], 0.01);
    }

    public static TheoryData<string> Oddities => ["none", "empty", "one point", "all equal", "not numbers", "huge", "log of nothing positive"];

    [Theory]
    [MemberData(nameof(Oddities))]
    public void Odd_data_still_gives_a_drawing(string what)
    {
        double[] y = what switch
        {
            "one point" => [3],
            "all equal" => [0, 0, 0],
            "not numbers" => [double.NaN, double.PositiveInfinity],
            "huge" => [1e300, -1e300],
            "log of nothing positive" => [0, -1],
            _ => [],
        };
        double[] x = [.. y.Select((_, i) => (double)i)];
        var lines = new LinePlot { Title = what, Y = new Axis { Logarithmic = what.StartsWith("log", StringComparison.Ordinal) }, Series = what == "none" ? [] : [new LineSeries("a", x, y)] };
        var bars = new BarPlot { Title = what, Categories = [.. x.Select(i => $"{i}")], Series = what == "none" ? [] : [new BarSeries("a", [.. y.Select(value => (Bar?)value)])] };
        foreach (var plot in new Plot[] { lines, bars })
        {
            string svg = plot.ToSvg();
            Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
            Assert.DoesNotContain("\u221E", svg, StringComparison.Ordinal);
            XElement.Parse(svg);
        }
    }

    [Fact]
    public void Data_never_becomes_markup()
    {
        var page = new HtmlPage(Hostile).Heading(2, Hostile, Hostile).Paragraph(Hostile).Code(Hostile).Contents([(Hostile, Hostile)])
            .Table(new HtmlTable(Hostile, [Hostile, Hostile], [[Hostile, new Cell(Hostile) { Note = Hostile, NoteLanguage = Hostile, Best = true }]]))
            .Figure(new LinePlot { Title = Hostile, Description = Hostile, X = new Axis(Hostile), Y = new Axis(Hostile), Series = [new LineSeries(Hostile, [1, 2], [1, 2]), new LineSeries(Hostile, [1], [1])] })
            .Figure(new BarPlot { Title = Hostile, MarkName = Hostile, Marks = [1], Categories = [Hostile], Values = new Axis(Hostile), Series = [new BarSeries(Hostile, [1.0])] })
            .Details(Hostile, inner => inner.Note(Hostile));
        string html = page.ToString();
        Assert.DoesNotContain("<script>alert", html, StringComparison.Ordinal);
        Assert.DoesNotContain('\u0001', html);
        Assert.Equal(2, Regex.Count(html, "<script")); // ours, and the data of one plot
        XElement.Parse(new LinePlot { Title = Hostile, Series = [new LineSeries(Hostile, [1], [1])] }.ToSvg());
    }

    [Fact]
    public void A_page_takes_nothing_from_elsewhere_and_allows_its_own_script_alone()
    {
        string html = new HtmlPage("Title").Figure(new LinePlot { Title = "a", Series = [] }).ToString();
        Assert.DoesNotMatch("""(?:src|href)="(?!#)""", html);
        Assert.DoesNotContain("url(", html, StringComparison.Ordinal);
        Assert.DoesNotContain("innerHTML", html, StringComparison.Ordinal);
        string script = Regex.Match(html, "<script>(.*?)</script>", RegexOptions.Singleline).Groups[1].Value;
        string hash = Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(script)));
        Assert.Contains($"script-src &#39;sha256-{hash}&#39;", html, StringComparison.Ordinal);
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    private static (double X, double Y)[] Points(string path) =>
        [.. Coordinates().Matches(path).Select(match => (Number(match.Groups[1].Value), Number(match.Groups[2].Value)))];

    [GeneratedRegex(@"[ML]([-\d.]+) ([-\d.]+)")]
    private static partial Regex Coordinates();
}
