using System.Reflection;
using Glm.Tests;

namespace Glm.Library.Tests;

/// <summary>What other programs may rely on. A change of it is wanted: GLM_ACCEPT_API=1 writes the file anew, and its difference is read with the change.</summary>
public sealed class PublicApiTests
{
    [Fact]
    public void The_public_members_are_those_of_the_file()
    {
        string file = Path.Combine(TestFiles.Repository, "tests", "Glm.Tests", "PublicApi.txt");
        string[] found = [.. Members(typeof(GlmModel).Assembly)];
        if (Environment.GetEnvironmentVariable("GLM_ACCEPT_API") == "1") File.WriteAllLines(file, found);
        Assert.Equal(File.ReadAllLines(file), found);
    }

    private static IEnumerable<string> Members(Assembly assembly)
    {
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            yield return $"{(type.IsInterface ? "interface" : type.IsEnum ? "enum" : type.IsValueType ? "struct" : type is { IsAbstract: true, IsSealed: true } ? "static class" : "class")} {type.FullName}";
            var members = type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
                // What the compiler writes for every record says nothing.
                .Where(member => member is not MethodInfo { IsSpecialName: true } && member.GetCustomAttribute<System.Runtime.CompilerServices.CompilerGeneratedAttribute>() is null);
            foreach (string member in members.Select(Describe).Order(StringComparer.Ordinal)) yield return "  " + member;
        }
    }

    private static string Describe(MemberInfo member) => member switch
    {
        ConstructorInfo constructor => $"new({Parameters(constructor)})",
        MethodInfo method => $"{Name(method.ReturnType)} {method.Name}({Parameters(method)}){(method.IsStatic ? " static" : "")}",
        PropertyInfo property => $"{Name(property.PropertyType)} {property.Name} {{{(property.GetMethod is { IsPublic: true } ? " get;" : "")}{(property.SetMethod is { IsPublic: true } ? " set;" : "")} }}",
        FieldInfo field => $"{Name(field.FieldType)} {field.Name}",
        Type type => $"type {type.Name}",
        _ => member.ToString()!,
    };

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p => $"{Name(p.ParameterType)} {p.Name}{(p.HasDefaultValue ? $" = {p.DefaultValue ?? "null"}" : "")}"));

    private static string Name(Type type) => !type.IsGenericType ? type.IsArray ? Name(type.GetElementType()!) + "[]" : type.Name
        : $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
}
