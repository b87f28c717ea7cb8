namespace Glm.Models;

/// <summary>Checks of a configuration's fields, in the name of the file that they come from.</summary>
internal readonly record struct FieldCheck(string Source)
{
    /// <summary>Demands that a field has a value that makes sense and is supported.</summary>
    /// <exception cref="GlmException">It has not.</exception>
    public void Require(bool holds, string field, object expected, object? found)
    {
        if (!holds) throw new GlmException($"{Source}: {field}: expected {expected}, found {found ?? "nothing"}");
    }

    /// <summary>Demands a size of 1 to <paramref name="largest"/>, which keeps what is computed from it far from overflow.</summary>
    /// <exception cref="GlmException">It lies outside.</exception>
    public void RequireSize(string field, int value, int largest) => Require(value > 0 && value <= largest, field, $"1 to {largest}", value);

    /// <summary>Demands that heads divide the width.</summary>
    /// <exception cref="GlmException">They do not.</exception>
    public void RequireHeads(string field, int heads, string widthField, int width) =>
        Require(heads > 0 && width % heads == 0, field, $"a divisor of {widthField} {width}", heads);
}
