using System.Globalization;

namespace Glm.Plots.Tests;

/// <summary>Colours can be seen, and told apart, by everyone.</summary>
public sealed class PaletteTests
{
    /// <summary>What is left of linear RGB without one kind of cone (Machado, Oliveira, Fernandes 2009, severity 1).</summary>
    private static readonly Dictionary<string, double[][]> Sights = new()
    {
        ["all"] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        ["no red"] = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        ["no green"] = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    };

    public static TheoryData<string, bool> Cases
    {
        get
        {
            var cases = new TheoryData<string, bool>();
            foreach (string sight in Sights.Keys)
                foreach (bool dark in new[] { false, true }) cases.Add(sight, dark);
            return cases;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_colour_stands_out_from_the_page(bool dark)
    {
        double back = Luminance(Linear(dark ? Palette.DarkBackground : Palette.LightBackground));
        foreach (string colour in dark ? Palette.Dark : Palette.Light)
        {
            double own = Luminance(Linear(colour)), contrast = (Math.Max(own, back) + 0.05) / (Math.Min(own, back) + 0.05);
            Assert.True(contrast >= 3, $"{colour}: contrast {contrast:F2}");
        }
    }

    /// <summary>The first four, which most plots need, differ by at least 20 in CIELAB, any two by at least 11.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Colours_are_told_apart(string sight, bool dark)
    {
        string[] colours = dark ? Palette.Dark : Palette.Light;
        for (int i = 0; i < colours.Length; i++)
            for (int j = 0; j < i; j++)
            {
                double distance = Distance(Lab(Seen(colours[i], sight)), Lab(Seen(colours[j], sight)));
                Assert.True(distance >= (i < 4 ? 20 : 11), $"{colours[j]} and {colours[i]} with {sight}: {distance:F1}");
            }
    }

    private static double[] Linear(string colour) =>
    [
        .. Enumerable.Range(0, 3).Select(i => int.Parse(colour.AsSpan(1 + (2 * i), 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture) / 255.0)
            .Select(c => c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4)),
    ];

    private static double Luminance(double[] rgb) => (0.2126 * rgb[0]) + (0.7152 * rgb[1]) + (0.0722 * rgb[2]);

    private static double[] Seen(string colour, string sight)
    {
        double[] rgb = Linear(colour);
        return [.. Sights[sight].Select(row => Math.Clamp(row.Zip(rgb, (a, b) => a * b).Sum(), 0, 1))];
    }

    private static double[] Lab(double[] rgb)
    {
        double x = ((0.4124 * rgb[0]) + (0.3576 * rgb[1]) + (0.1805 * rgb[2])) / 0.95047;
        double y = (0.2126 * rgb[0]) + (0.7152 * rgb[1]) + (0.0722 * rgb[2]);
        double z = ((0.0193 * rgb[0]) + (0.1192 * rgb[1]) + (0.9505 * rgb[2])) / 1.08883;
        static double F(double t) => t > 216.0 / 24389 ? Math.Cbrt(t) : ((t * 24389 / 27) + 16) / 116;
        return [(116 * F(y)) - 16, 500 * (F(x) - F(y)), 200 * (F(y) - F(z))];
    }

    private static double Distance(double[] a, double[] b) => Math.Sqrt(a.Zip(b, (p, q) => (p - q) * (p - q)).Sum());
}
