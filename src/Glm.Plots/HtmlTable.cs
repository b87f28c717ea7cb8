namespace Glm.Plots;

/// <summary>A cell of a table.</summary>
/// <param name="Text">What stands in it.</param>
public sealed record Cell(string Text)
{
    /// <summary>A second line in small letters: an interval, a remark.</summary>
    public string? Note { get; init; }

    /// <summary>Whether it is the best of its row.</summary>
    public bool Best { get; init; }

    /// <summary>The language of the note where it is not English, such as <c>zh</c>.</summary>
    public string? NoteLanguage { get; init; }

    /// <summary>A text is a cell.</summary>
    public static implicit operator Cell(string text) => new(text);
}

/// <summary>A table with a head row and a head column; the other cells are numbers unless it is a table of texts.</summary>
/// <param name="Caption">What it shows.</param>
/// <param name="Columns">Names of the columns, the first column's included.</param>
/// <param name="Rows">Each with as many cells as there are columns.</param>
public sealed record HtmlTable(string Caption, IReadOnlyList<Cell> Columns, IReadOnlyList<IReadOnlyList<Cell>> Rows)
{
    /// <summary>Whether cells are texts, set to the left.</summary>
    public bool Texts { get; init; }

    /// <summary>The columns that are ours, which are shaded.</summary>
    public IReadOnlyList<int> Ours { get; init; } = [];

    internal void Write(MarkupWriter html)
    {
        // What scrolls must be reachable by keyboard, and say what it is.
        html.Open("div", ("class", "table"), ("role", "region"), ("tabindex", 0), ("aria-label", Caption))
            .Open("table", ("class", Texts ? "texts" : null)).Element("caption", Caption).Line().Open("thead").Open("tr");
        for (int i = 0; i < Columns.Count; i++) Write(html, "th", Columns[i], i, "col");
        html.Close().Close().Line().Open("tbody").Line();
        foreach (var row in Rows)
        {
            html.Open("tr");
            for (int i = 0; i < row.Count; i++) Write(html, i == 0 ? "th" : "td", row[i], i, i == 0 ? "row" : null);
            html.Close().Line();
        }
        html.Close().Close().Close().Line();
    }

    private void Write(MarkupWriter html, string element, Cell cell, int column, string? scope)
    {
        html.Open(element, ("scope", scope), ("class", Ours.Contains(column) ? "ours" : null));
        if (cell.Best) html.Element("b", cell.Text);
        else html.Text(cell.Text);
        if (cell.Note is { } note) html.Element("small", note, ("lang", cell.NoteLanguage));
        html.Close();
    }
}
